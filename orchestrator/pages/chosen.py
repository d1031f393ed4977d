"""Which samples a page shows closely where it cannot show all: those that went worst, and others drawn by chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator.pages.sources import Content
from orchestrator.results.layout import SAMPLES_NAME
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.schema import SAMPLES
from orchestrator.scoring import CellName, Summary
from orchestrator.scoring.cell_scores import digests, read_cell_scores

SAMPLES_MAX = 2_000
ANSWERS_MAX = 20_000
SAMPLES_MIN = 50
SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class Choice:
    """The ids shown of `total` samples, in their order; `worst` of them for their scores, the rest by chance."""

    ids: tuple[str, ...]
    total: int
    worst: int

    @property
    def is_all(self) -> bool:
        """Whether every sample is shown."""
        return len(self.ids) == self.total


def choose(content: Content, pages: int = 1) -> Choice:
    """Return the samples to show: all where these are few enough, else half of them the worst, half by chance.

    Worst is by the first main metric, the mean over all cells. The same runs give the same choice. Several runs have
    the same samples; where they stand on so many `pages` of one file, each has its part of the room.
    """
    most = room_for(pages * sum(cell.repeats for source in content.sources for _, cell in source.cells))
    run, plan = content.sources[0].run, content.sources[0].plan
    total = min(plan.samples, max((cell.limit or plan.samples for cell in plan.cells), default=0))
    if total <= most:
        return Choice(tuple(_ids(run, total)), total, 0)
    order = np.random.default_rng(SEED).permutation(total)
    worst = _worst(content, total, most // 2)
    rest = order[~np.isin(order, worst)][: most - len(worst)]
    places = set(np.concatenate([worst, rest]).tolist())
    ids = tuple(each for place, each in enumerate(_ids(run, total)) if place in places)
    return Choice(ids, total, len(worst))


def room_for(answers_a_sample: int) -> int:
    """Return how many samples a page has room for."""
    return max(SAMPLES_MIN, min(SAMPLES_MAX, ANSWERS_MAX // max(1, answers_a_sample)))


def _ids(run: Path, total: int) -> Iterator[str]:
    with ParquetReader(run / SAMPLES_NAME, SAMPLES) as file:
        for batch in file.batches(("id",)):
            yield from batch["id"].slice(0, total).to_pylist()
            total -= batch.num_rows
            if total <= 0:
                return


def _worst(content: Content, total: int, count: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the places of the `count` samples with the worst mean over cells, fewer where not so many have one."""
    if not content.summary.compared.metrics:
        return np.zeros(0, np.int64)
    metric = content.summary.compared.metrics[0]
    ids = digests(_ids(content.sources[0].run, total))
    order = np.argsort(ids)
    sums, counts = np.zeros(total), np.zeros(total)
    cells = [(source.run, cell) for source in content.sources for cell in _scored_cells(source.summary, metric)]
    for run, cell in cells:
        found = read_cell_scores(run, cell, [metric])[metric]
        places = order[np.minimum(np.searchsorted(ids, found.ids, sorter=order), total - 1)]
        is_there = ids[places] == found.ids
        means = found.means()[is_there]
        sums[places[is_there]] += np.nan_to_num(means)
        counts[places[is_there]] += ~np.isnan(means)
    means = np.divide(sums, counts, out=np.full(total, np.nan), where=counts > 0)
    badness = means if content.summary.metric_notes[metric].direction == "lower" else -means
    known = np.flatnonzero(~np.isnan(badness))
    return known[np.argsort(-badness[known], kind="stable")][:count]


def _scored_cells(summary: Summary, metric: str) -> Sequence[CellName]:
    return [
        CellName(run=summary.run, model=each.model, params=each.params, prompt=each.prompt)
        for each in summary.figures
        if each.group == "all" and each.metric == metric and each.n_scored
    ]
