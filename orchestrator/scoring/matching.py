"""Which cells of two runs are compared with each other, and which have no counterpart."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from orchestrator.errors import UsageError, nearest
from orchestrator.parsing import Frozen
from orchestrator.scoring.cell_name import CellName, cells_called, short_names
from orchestrator.scoring.summary import read_summary

Cells = tuple[str, str] | Sequence[tuple[str, str]]
"""Names of two cells, one of each run, or several such pairs."""


Side = Literal["first", "second"]


class Unmatched(Frozen):
    """A cell of the first or the second run that was not compared, and why; `metric` where it was by others.

    `cell` is None where a metric of all cells was not, `samples` how many of how many where part of them was.
    """

    of: Side
    cell: CellName | None
    reason: str
    metric: str | None = None
    samples: tuple[int, int] | None = None


def list_cells(run: Path) -> list[CellName]:
    """Return the cells that have figures of `run`, in its order: of twins the one that stands for the others."""
    summary = read_summary(run)
    names = dict.fromkeys((each.model, each.params, each.prompt) for each in summary.figures)
    return [CellName(run=summary.run, model=model, params=params, prompt=prompt) for model, params, prompt in names]


def find_cell(run: Path, name: str) -> CellName:
    """Return the cell called `name`: as reports show it, `model / prompt`, or its model where that has one cell.

    Parameters may be left out where no other cell has that model and prompt.
    """
    cells, twins = list_cells(run), list(_stand_ins(run))
    known = [*cells, *twins]
    found = cells_called(name, cells) or cells_called(name, known)
    if len(found) == 1:
        return found[0]
    shown = short_names(known)
    if found:
        told = ", ".join(short for cell, short in zip(known, shown, strict=True) if cell in found)
        raise UsageError(f"{run.name}: '{name}' has several cells; name one of them: {told}")
    raise UsageError(no_such_cell(run, name, shown, shown))


def no_such_cell(run: Path, name: str, cells: Sequence[str], known: Sequence[str]) -> str:
    """Return the sentence on a `name` that is none of those `known`, with all `cells` that there are."""
    told = nearest(name, known)
    listed = "" if told.startswith("; known") else f"; its cells are {', '.join(cells)}"
    return f"{run.name}: has no cell '{name}'{told}{listed}"


def match_cells(
    first: Path, second: Path, names: Cells | None
) -> tuple[list[tuple[CellName, CellName]], tuple[Unmatched, ...]]:
    """Return pairs of cells, those named or else those that go together, and the cells without a counterpart.

    Those go together that have one name; where none has and each run is of one model, those of one prompt and
    parameters; or the only cells of their runs. Of one and the same run all pairs. Of twins one is paired, where it can
    be the one that stands for the others. Raises UsageError where no two cells go together.
    """
    if names:
        named = [(find_cell(first, one), find_cell(second, other)) for one, other in _listed(names)]
        return list(dict.fromkeys(named)), ()
    ours, theirs = list_cells(first), list_cells(second)
    if first == second:
        if len(ours) == 1:
            raise UsageError(f"{first.name}: has one cell, and nothing to compare it with")
        return list(itertools.combinations(ours, 2)), ()
    kept = _stand_ins(first), _stand_ins(second)
    found: dict[tuple[CellName, CellName], tuple[CellName, CellName]] = {}
    for one, other in _alike([*ours, *kept[0]], [*theirs, *kept[1]]) or _alike(ours, theirs):
        found.setdefault((kept[0].get(one, one), kept[1].get(other, other)), (one, other))
    if not found:
        raise UsageError(
            f"no cell of {first.name} has the name of one of {second.name}; name two with --cells "
            f"A B, of {', '.join(cell.text for cell in ours)} and of {', '.join(cell.text for cell in theirs)}"
        )
    matched = {cell for pair in found for cell in pair}
    sides: tuple[tuple[Side, list[CellName]], ...] = (("first", ours), ("second", theirs))
    reason = "the other run has no cell of that name"
    return list(found.values()), tuple(
        Unmatched(of=side, cell=cell, reason=reason) for side, cells in sides for cell in cells if cell not in matched
    )


def find_lone_metrics(first: Path, second: Path) -> tuple[Unmatched, ...]:
    """Return the main metrics of each run that the other was not scored by."""
    sides: tuple[tuple[Side, Path, Path], ...] = (("first", first, second), ("second", second, first))
    return tuple(
        Unmatched(
            of=side, cell=None, metric=metric, reason=f"the other run has no scores by it; {score_by(other, metric)}"
        )
        for side, run, other in sides
        for metric in read_summary(run).compared.metrics
        if metric not in read_summary(other).metric_notes
    )


def score_by(run: Path, metric: str) -> str:
    """Return the command that scores `run` by `metric` as well, and does not lose the metrics that it has."""
    summary = read_summary(run)
    names = " ".join(f"--metric {name}" for name in (*summary.metrics, metric))
    steps = " and its --extract" if any(note.extractor for note in summary.metric_notes.values()) else ""
    return f"`bakeoff score {run.name} {names}`{steps} adds it"


def _listed(names: Cells) -> list[tuple[str, str]]:
    return (
        [cast("tuple[str, str]", names)]
        if isinstance(names[0], str)
        else list(cast("Sequence[tuple[str, str]]", names))
    )


def _stand_ins(run: Path) -> dict[CellName, CellName]:
    """Return by twin the cell that stands for it."""
    summary = read_summary(run)
    named = {"run": summary.run}
    return {twin.cell.model_copy(update=named): twin.kept.model_copy(update=named) for twin in summary.twins}


def _alike(ours: Sequence[CellName], theirs: Sequence[CellName]) -> list[tuple[CellName, CellName]]:
    pairs = [(one, other) for one in ours for other in theirs if one.text == other.text]
    if not pairs and len({cell.model for cell in ours}) == len({cell.model for cell in theirs}) == 1:
        pairs = [(a, b) for a in ours for b in theirs if (a.params, a.prompt) == (b.params, b.prompt)]
    return pairs or ([(ours[0], theirs[0])] if len(ours) == len(theirs) == 1 else [])
