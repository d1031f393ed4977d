"""The cells of one run compared with each other, from scores that are still in memory."""

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestrator.metrics import Metric
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.comparison import Comparison, Pair, compare
from orchestrator.scoring.main_metrics import main_metrics
from orchestrator.scoring.summary import Compared, Figure
from orchestrator.scoring.tally import Tally
from orchestrator.statistics import Floats, Ints, detectable

CELLS_MAX = 10  # of which all pairs are compared

_Scored = tuple[CellName, Floats]


@dataclass(slots=True)
class RunComparisons:
    """Scores per sample of a run's cells by its main metrics: eight bytes a sample, cell and metric.

    All cells ask the run's samples in the same order, the first so many of them, so that a sample is known by its
    place and a document by its number.
    """

    run: str
    metrics: Sequence[Metric]
    _cells: list[tuple[CellName, dict[str, Floats]]] = field(default_factory=list)
    _documents: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def keep(self, tally: Tally) -> None:
        """Take a cell of which all is scored."""
        if not tally.samples:
            return
        documents = np.concatenate([each.documents for each in tally.samples])
        if len(documents) > len(self._documents):
            self._documents = documents
        model, params, prompt = tally.cell.name
        chosen = main_metrics(self.metrics)
        scores = {metric.name: np.concatenate(tally.columns[metric.name].scores) for metric in chosen}
        self._cells.append((CellName(run=self.run, model=model, params=params, prompt=prompt), scores))

    def make(self, figures: Sequence[Figure]) -> Compared:
        """Compare all pairs of at most ten cells that have a score, of more each with the best by the metric.

        Holm's correction is over all pairs in both cases: the best was chosen by looking at them.
        """
        chosen = main_metrics(self.metrics)
        ranked = {metric.name: self._rank(metric) for metric in chosen}
        is_all = max(map(len, ranked.values()), default=0) <= CELLS_MAX
        pairs = [pair for m in chosen for pair in self._pairs(m, ranked[m.name], is_all=is_all)]
        claims = sum(math.comb(len(cells), 2) for cells in ranked.values())
        comparisons = compare(pairs, claims)
        return Compared(
            metrics=tuple(metric.name for metric in chosen),
            which="all pairs" if is_all else "each with the best",
            claims=claims,
            detectable={metric.name: _smallest(metric.name, comparisons, figures) for metric in chosen},
            comparisons=comparisons,
        )

    def _rank(self, metric: Metric) -> list[_Scored]:
        """Return the cells that have a score, the better first; what a cell has none for counts as wrong there."""
        scored = [(name, scores[metric.name]) for name, scores in self._cells]
        known = [(name, scores) for name, scores in scored if not np.isnan(scores).all()]
        return sorted(known, key=lambda cell: _rank(metric, cell[1], len(self._documents)))

    def _pairs(self, metric: Metric, ranked: Sequence[_Scored], *, is_all: bool) -> Iterator[Pair]:
        """Yield pairs of cells, the better first."""
        for place, (name, scores) in enumerate(ranked if is_all else ranked[:1]):
            for other, others in ranked[place + 1 :]:
                n = min(len(scores), len(others))
                rest = np.concatenate([scores[n:], others[n:]])
                yield Pair(
                    metric=metric.name,
                    direction=metric.direction,
                    names=(name, other),
                    first=scores[:n],
                    second=others[:n],
                    documents=self._documents[:n],
                    n_left_out=int((~np.isnan(rest)).sum()),
                )


def _rank(metric: Metric, scores: Floats, total: int) -> tuple[float, int]:
    """Return by what a cell is ranked, the least best: its mean, all that is missing being wrong; then how much is.

    Else a model that refuses hard pages, or was asked a few, would be the best. What is no fraction has no worst.
    """
    missing = total - int((~np.isnan(scores)).sum())
    mean = float(np.nanmean(scores))
    if metric.unit == "fraction":
        worst = 1.0 if metric.direction == "lower" else 0.0
        mean = (mean * (total - missing) + worst * missing) / total
    return (mean if metric.direction == "lower" else -mean), missing


def _smallest(metric: str, comparisons: Sequence[Comparison], figures: Sequence[Figure]) -> float | None:
    """Return what a comparison by `metric` typically can see: the median over those made.

    Of a single cell it is what could be seen against another as uncertain, its answers unrelated: an upper bound.
    """
    seen = [each.detectable for each in comparisons if each.metric == metric and each.detectable is not None]
    if seen:
        return statistics.median(seen)
    own = (each for each in figures if each.metric == metric and each.group == "all")
    return next(
        (
            detectable(math.sqrt(2) * each.standard_error, each.n_documents)
            for each in itertools.islice(own, 1)
            if each.standard_error is not None and not comparisons
        ),
        None,
    )
