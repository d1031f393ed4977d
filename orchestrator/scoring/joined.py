"""Two cells' scores joined on sample ids, as they come from their runs' directories."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from orchestrator.errors import BakeoffError, UsageError, nearest
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.cell_scores import CellScores, Digests, read_cell_scores
from orchestrator.scoring.comparison import Pair
from orchestrator.scoring.matching import score_by
from orchestrator.scoring.same_samples import check_same_samples
from orchestrator.scoring.summary import MetricNote, Summary, read_summary
from orchestrator.statistics import join_clusters

Missing = Literal["left out", "worst"]
"""What becomes of answers without a score: their sample is left out, or they count as the worst score."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A pair with the digests of its samples' ids, and how many samples lack something.

    `only` are the samples that the first alone has a score for, and the second; `missing` those of each of which an
    answer without a score counts as the worst; `n_first` all samples that the first was asked about.
    """

    pair: Pair
    ids: Digests
    only: tuple[int, int]
    missing: tuple[int, int]
    n_first: int

    @property
    def has_both(self) -> bool:
        """Whether there is a sample that both have a score for."""
        return bool((~np.isnan(self.pair.first) & ~np.isnan(self.pair.second)).any())


def join_cells(
    first: tuple[Path, CellName], second: tuple[Path, CellName], notes: Mapping[str, MetricNote], missing: Missing
) -> Iterator[Joined]:
    """Yield the scores of two cells, each given by its run's directory and name, by each metric of `notes`."""
    ours = read_cell_scores(*first, list(notes))
    theirs = read_cell_scores(*second, list(notes))
    for name, note in notes.items():
        yield _join((first[1], second[1]), (name, note), ours[name], theirs[name], missing)


def check_comparable(first: Path, second: Path, metrics: Sequence[str] | None) -> dict[str, MetricNote]:
    """Return the notes of `metrics` (None: the main ones of both runs).

    Raises BakeoffError where the runs do not hold the same samples, went on since they were scored, or measured by
    another normaliser, extraction or version; UsageError for a metric that they were not scored by.
    """
    summaries = read_summary(first), read_summary(second)
    for run, summary in zip((first, second), summaries, strict=True):
        if summary.is_outdated:
            raise BakeoffError(f"{run.name}: the run went on since it was scored; run `bakeoff score {run.name}` again")
    notes = _shared_notes((first, second), summaries, metrics)
    if first != second:
        check_same_samples(first, second)
    return notes


def _shared_notes(
    runs: tuple[Path, Path], summaries: tuple[Summary, Summary], metrics: Sequence[str] | None
) -> dict[str, MetricNote]:
    ours, theirs = summaries
    main = (name for name in ours.compared.metrics if name in theirs.metric_notes)
    names = list(dict.fromkeys(metrics or main))
    if not names:
        raise BakeoffError(
            f"{runs[0].name} and {runs[1].name} have no main metric in common; score both by the same ones"
        )
    for name in names:
        for run, summary in zip(runs, summaries, strict=True):
            if name not in summary.metric_notes:
                is_known = any(name in each.metric_notes for each in summaries)
                told = f"; {score_by(run, name)}" if is_known else nearest(name, summary.metrics)
                raise UsageError(f"{run.name}: was not scored by '{name}'{told}")
        _check_alike(name, ours, theirs)
    return {name: ours.metric_notes[name] for name in names}


def _check_alike(name: str, ours: Summary, theirs: Summary) -> None:
    one, other = ours.metric_notes[name], theirs.metric_notes[name]
    for field in MetricNote.model_fields:
        values = getattr(one, field), getattr(other, field)
        if values[0] != values[1]:
            told = " and ".join(str(value or "none") for value in values)
            raise BakeoffError(
                f"{name} was not measured alike: its {field} is {told} in {ours.run} and {theirs.run}; score both again"
            )


def _join(
    names: tuple[CellName, CellName],
    metric: tuple[str, MetricNote],
    one: CellScores,
    other: CellScores,
    missing: Missing,
) -> Joined:
    name, note = metric
    is_counted = missing == "worst" and note.unit == "fraction"
    worst = (1.0 if note.direction == "lower" else 0.0) if is_counted else None
    ids, here, there = np.intersect1d(one.ids, other.ids, assume_unique=True, return_indices=True)
    scores, others = one.means(worst), other.means(worst)
    first, second = scores[here], others[there]
    scored, counterpart = ~np.isnan(first), ~np.isnan(second)
    alone = int((~np.isnan(scores)).sum() - scored.sum()), int((~np.isnan(others)).sum() - counterpart.sum())
    documents = join_clusters(one.documents[here], other.documents[there])
    lacking = (one.missing[here] > 0).sum(), (other.missing[there] > 0).sum()
    return Joined(
        pair=Pair(name, note.direction, names, first, second, documents, sum(alone)),
        ids=ids,
        only=(alone[0] + int((scored & ~counterpart).sum()), alone[1] + int((counterpart & ~scored).sum())),
        missing=(int(lacking[0]), int(lacking[1])) if is_counted else (0, 0),
        n_first=len(one.ids),
    )
