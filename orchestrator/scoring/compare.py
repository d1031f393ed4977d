"""Compare cells of one run or of two, from what scoring left in their directories."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from orchestrator.errors import BakeoffError, UsageError, nearest
from orchestrator.parsing import Frozen
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.cell_scores import CellScores, read_cell_scores
from orchestrator.scoring.comparison import Comparison, Pair, compare
from orchestrator.scoring.same_samples import check_same_samples
from orchestrator.scoring.summary import MetricNote, Summary, read_summary

Missing = Literal["left out", "worst"]


class RunComparison(Frozen):
    """Cells of two runs compared, or of one; `unmatched` are those that have no counterpart in the other run."""

    first: str
    second: str
    comparisons: tuple[Comparison, ...]
    unmatched: tuple[CellName, ...] = ()


def compare_cells(
    first: tuple[Path, CellName],
    second: tuple[Path, CellName],
    metrics: Sequence[str] | None = None,
    *,
    missing: Missing = "left out",
) -> tuple[Comparison, ...]:
    """Compare two cells, each given by its run's directory and its name, by `metrics` (default: the main ones of both).

    Scores are joined on sample ids; Holm's correction is over the metrics. See `compare_pairs_of_cells`.
    """
    return compare_pairs_of_cells([(first, second)], metrics, missing=missing)


def compare_pairs_of_cells(
    pairs: Sequence[tuple[tuple[Path, CellName], tuple[Path, CellName]]],
    metrics: Sequence[str] | None = None,
    *,
    missing: Missing = "left out",
) -> tuple[Comparison, ...]:
    """Compare pairs of cells of the same two runs, with Holm's correction over all pairs and metrics.

    Answers without a score leave their sample out, or count as the `worst` where scores are fractions. Raises
    BakeoffError where the runs do not hold the same samples, or measured by another normaliser, extraction or version;
    UsageError for a metric that they were not scored by. Memory holds some bytes for each sample of two cells.
    """
    made: list[Pair] = []
    for (first_run, first), (second_run, second) in pairs:
        notes = _shared_notes(first_run, second_run, metrics)
        if first_run != second_run:
            check_same_samples(first_run, second_run)
        ours = read_cell_scores(first_run, first, list(notes))
        theirs = read_cell_scores(second_run, second, list(notes))
        made += [
            _join((first, second), (name, note), ours[name], theirs[name], missing) for name, note in notes.items()
        ]
    found = compare(made)
    if not found:
        raise BakeoffError("no sample has a score in both cells; nothing can be compared")
    return found


def list_cells(run: Path) -> list[CellName]:
    """Return the cells that were scored of `run`, in its order."""
    summary = read_summary(run)
    names = dict.fromkeys((each.model, each.params, each.prompt) for each in summary.figures)
    return [CellName(run=summary.run, model=model, params=params, prompt=prompt) for model, params, prompt in names]


def find_cell(run: Path, name: str) -> CellName:
    """Return the cell called `name`: its model where that has one cell, or as reports show it, `model / prompt`."""
    cells = list_cells(run)
    found = [cell for cell in cells if name in (cell.text, cell.model)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{run.name}: '{name}' has several cells; name one of them: {', '.join(c.text for c in found)}"
        )
    told = nearest(name, [cell.text for cell in cells])
    raise UsageError(f"{run.name}: has no cell '{name}'{told}")


def compare_runs(
    first: Path,
    second: Path,
    cells: tuple[str, str] | None = None,
    metrics: Sequence[str] | None = None,
    *,
    missing: Missing = "left out",
) -> RunComparison:
    """Compare `cells`, one of each run by name, or every two that go together; see `compare_pairs_of_cells`.

    Those go together that have one name, or are the only one of their run; of one and the same run, all pairs.
    """
    pairs = [(find_cell(first, cells[0]), find_cell(second, cells[1]))] if cells else _match(first, second)
    found = compare_pairs_of_cells([((first, one), (second, other)) for one, other in pairs], metrics, missing=missing)
    matched = {name for pair in pairs for name in pair}
    every = dict.fromkeys([*list_cells(first), *list_cells(second)])
    return RunComparison(
        first=read_summary(first).run,
        second=read_summary(second).run,
        comparisons=found,
        unmatched=() if cells else tuple(name for name in every if name not in matched),
    )


def _match(first: Path, second: Path) -> list[tuple[CellName, CellName]]:
    """Return the cells of two runs that go together; raise UsageError where no two do."""
    ours, theirs = list_cells(first), list_cells(second)
    if first == second:
        pairs = list(itertools.combinations(ours, 2))
        if not pairs:
            raise UsageError(f"{first.name}: has one cell, and nothing to compare it with")
        return pairs
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])]
    pairs = [(one, other) for one in ours for other in theirs if one.text == other.text]
    if not pairs:
        raise UsageError(
            f"no cell of {first.name} has the name of one of {second.name}; name two, of "
            f"{', '.join(cell.text for cell in ours)} and of {', '.join(cell.text for cell in theirs)}"
        )
    return pairs


def _shared_notes(first: Path, second: Path, metrics: Sequence[str] | None) -> dict[str, MetricNote]:
    """Return the notes of the metrics to compare by; raise where the runs do not agree about one."""
    ours, theirs = read_summary(first), read_summary(second)
    names = metrics or [name for name in ours.compared.metrics if name in theirs.metric_notes]
    if not names:
        raise BakeoffError(f"{first.name} and {second.name} have no main metric in common; score both by the same ones")
    for name in names:
        for run, summary in ((first, ours), (second, theirs)):
            if name not in summary.metric_notes:
                known = nearest(name, summary.metrics)
                raise UsageError(f"{run.name}: was not scored by '{name}'{known} (`bakeoff score --metric` adds one)")
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
) -> Pair:
    name, note = metric
    is_counted = missing == "worst" and note.unit == "fraction"
    worst = (1.0 if note.direction == "lower" else 0.0) if is_counted else None
    _, here, there = np.intersect1d(one.ids, other.ids, assume_unique=True, return_indices=True)
    scores, others = one.means(worst), other.means(worst)
    scored = int((~np.isnan(scores)).sum() + (~np.isnan(others)).sum())
    first, second = scores[here], others[there]
    shared = int((~np.isnan(first)).sum() + (~np.isnan(second)).sum())
    _, documents = np.unique(one.documents[here], return_inverse=True)
    return Pair(name, note.direction, names, first, second, documents, scored - shared)
