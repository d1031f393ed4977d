"""Rank cells of several runs over the same samples: by their means, and apart only where the paired tests say so."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from orchestrator.errors import BakeoffError
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.cell_scores import CellScores, Digests, read_cell_scores
from orchestrator.scoring.compare import Missing
from orchestrator.scoring.comparison import Comparison, Pair, compare
from orchestrator.scoring.several import Entry, Several
from orchestrator.scoring.summary import Compared, MetricNote
from orchestrator.statistics import Floats, Ints, join_clusters

CELLS_MAX = 10  # of which all pairs are compared


class SamplesDifferError(BakeoffError):
    """Cells that were not asked about the same samples."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """The scores of all cells by metric, sample by sample of `ids`; `documents` are numbers.

    `total` is how many samples any of the cells has.
    """

    ids: Digests
    documents: Ints
    total: int
    scores: Mapping[CellName, Mapping[str, CellScores]]


def align(several: Several, *, shared: bool = False) -> Aligned:
    """Read the scores of all cells and bring them into one order.

    Raises SamplesDifferError where a cell lacks samples that another has; with `shared`, only where no sample is in
    all. Memory holds some bytes for each sample, cell and metric.
    """
    read = {e.name: read_cell_scores(e.run, e.cell, several.metrics) for e in several.entries}
    ids = {name: next(iter(by_metric.values())).ids for name, by_metric in read.items()}
    common = reduce(lambda one, other: np.intersect1d(one, other, assume_unique=True), ids.values())
    total = len(reduce(np.union1d, ids.values()))
    if not len(common) or (len(common) < total and not shared):
        raise SamplesDifferError(_tell_difference(several, ids, len(common), total))
    scores = {
        name: {metric: _only(found, common) for metric, found in by_metric.items()} for name, by_metric in read.items()
    }
    documents = join_clusters(*(next(iter(by_metric.values())).documents for by_metric in scores.values()))
    return Aligned(common, documents, total, scores)


def compare_all(several: Several, aligned: Aligned, missing: Missing) -> Compared:
    """Compare all pairs of at most ten cells that have a score, of more each with the best, the better first.

    Holm's correction is over all pairs and metrics in both cases.
    """
    orders = {metric: order_cells(several, aligned, metric) for metric in several.metrics}
    is_all = max(map(len, orders.values())) <= CELLS_MAX
    pairs = [
        pair
        for metric, order in orders.items()
        for pair in _pairs(several, aligned, metric, missing, _names(order, is_all=is_all))
    ]
    claims = sum(math.comb(len(order), 2) for order in orders.values())
    comparisons = compare(pairs, claims)
    return Compared(
        metrics=several.metrics,
        which="all pairs" if is_all else "each with the best",
        claims=claims,
        detectable={metric: _detectable(metric, comparisons) for metric in several.metrics},
        comparisons=comparisons,
    )


def rank_cells(several: Several, aligned: Aligned, compared: Compared, metric: str) -> dict[CellName, int | None]:
    """Return the rank of each cell, in the order of `order_cells`; None for one without a score.

    From the best mean down to the last cell that was not found worse than it all share rank 1, so that a lower mean, as
    ordered by, never stands higher. Of the rest the best mean leads again, as far as it was compared: of more than ten
    cells the rest are ranked by their means alone. A rank counts the cells before it.
    """
    left = order_cells(several, aligned, metric)
    of_metric = [each for each in compared.comparisons if each.metric == metric]
    leaders = {each.first for each in of_metric}
    worse = {(each.first, each.second) for each in of_metric if each.verdict == "worse"}
    ranks: dict[CellName, int | None] = {}
    while left:
        rank, leader = len(ranks) + 1, left[0]
        alike = [place for place, name in enumerate(left) if leader in leaders and (leader, name) not in worse]
        last = max(alike, default=0)
        ranks.update(dict.fromkeys(left[: last + 1], rank))
        left = left[last + 1 :]
    return {**ranks, **{entry.name: None for entry in several.entries if entry.name not in ranks}}


def order_cells(several: Several, aligned: Aligned, metric: str) -> list[CellName]:
    """Return the cells that have a score, the best mean first, where what is missing counts as the worst."""
    note, total = several.notes[metric], len(aligned.ids)
    keys: dict[CellName, tuple[float, int]] = {}
    for name, by_metric in aligned.scores.items():
        means = by_metric[metric].means(worst_of(note))
        if (by_metric[metric].scored > 0).any():
            mean = float(np.nanmean(means))
            missing = total - int((by_metric[metric].scored > 0).sum())
            keys[name] = (mean if note.direction == "lower" else -mean), missing
    return sorted(keys, key=lambda name: keys[name])


def worst_of(note: MetricNote) -> float | None:
    """Return the worst score there is; None where scores are no fractions."""
    if note.unit != "fraction":
        return None
    return 1.0 if note.direction == "lower" else 0.0


def _names(order: Sequence[CellName], *, is_all: bool) -> list[tuple[CellName, CellName]]:
    return list(itertools.combinations(order, 2)) if is_all else [(order[0], other) for other in order[1:]]


def _pairs(
    several: Several, aligned: Aligned, metric: str, missing: Missing, names: Sequence[tuple[CellName, CellName]]
) -> list[Pair]:
    note = several.notes[metric]
    worst = worst_of(note) if missing == "worst" else None
    cells = dict.fromkeys(itertools.chain.from_iterable(names))
    means: dict[CellName, Floats] = {name: aligned.scores[name][metric].means(worst) for name in cells}
    return [Pair(metric, note.direction, each, means[each[0]], means[each[1]], aligned.documents) for each in names]


def _detectable(metric: str, comparisons: Sequence[Comparison]) -> float | None:
    seen = [each.detectable for each in comparisons if each.metric == metric and each.detectable is not None]
    return statistics.median(seen) if seen else None


def _only(found: CellScores, ids: Digests) -> CellScores:
    if len(ids) == len(found.ids):
        return found
    places = np.searchsorted(found.ids, ids)
    return CellScores(ids, found.documents[places], found.totals[places], found.scored[places], found.missing[places])


def _tell_difference(several: Several, ids: Mapping[CellName, Digests], common: int, total: int) -> str:
    """Return who has how many samples, and what to do."""
    counts: list[str] = []
    short: list[str] = []
    for run, group in itertools.groupby(several.entries, lambda entry: entry.run):
        cells = list(group)
        label = several.labels[run]
        for text, those in _told_apart(label, cells, ids):
            counts.append(f"{text} has {len(ids[those[0].name]):,}")
            if len(ids[those[0].name]) < total:
                short.append(text)
    told = f"not all were asked about the same samples: {', '.join(counts)}; all of them have {common:,}"
    if not common:
        return f"{told}; rank runs that share samples"
    return (
        f"{told}; ask {' and '.join(short)} for the rest (the same `bakeoff run` on the same dataset, without --limit),"
        f" or rank on the {common:,} alone: `bakeoff leaderboard … --shared`"
    )


def _told_apart(label: str, cells: Sequence[Entry], ids: Mapping[CellName, Digests]) -> list[tuple[str, list[Entry]]]:
    """Return the run as one where all its cells have as many samples, else its cells each by itself."""
    if len({len(ids[cell.name]) for cell in cells}) == 1:
        return [(label, list(cells))]
    return [(f"{label}: {cell.cell.text}", [cell]) for cell in cells]
