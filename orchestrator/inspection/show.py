"""Everything to know about one run: what it was asked, how far it came, what is missing, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import BakeoffError
from orchestrator.inspection.completeness import CellState, Wanted, compare, read_rows, read_wanted
from orchestrator.inspection.folders import list_bent_journals, list_journals, list_set_aside, models_on_disk
from orchestrator.inspection.holder import find_holder
from orchestrator.inspection.stale import Stale, find_stale
from orchestrator.results.plan import Cell, RunPlan, read_plan

SAMPLES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class RunState:
    """What a run holds. `defects` says by model why its predictions cannot be read; `holder` works on it now.

    `journals` are not folded into Parquet yet, `bent_journals` had damaged lines, `set_aside` lie in `old/`.
    """

    folder: Path
    plan: RunPlan
    holder: str | None
    cells: tuple[CellState, ...]
    stale: tuple[Stale, ...]
    defects: dict[str, str]
    journals: tuple[Path, ...]
    bent_journals: tuple[Path, ...]
    set_aside: tuple[Path, ...]


@dataclass(slots=True)
class _Found:
    cells: dict[tuple[str, str, str], CellState] = field(default_factory=dict)
    stale: list[Stale] = field(default_factory=list)
    defects: dict[str, str] = field(default_factory=dict)


def show_run(run: Path, samples_max: int | None = SAMPLES_SHOWN) -> RunState:
    """Look at the run directory `run` and disturb nobody who works on it; each gap names `samples_max` (None: all).

    Texts are not read. Raises BakeoffError where the plan, the samples or the prompts cannot be read; a model whose
    predictions cannot be read is among the defects.
    """
    plan = read_plan(run)
    found = _Found()
    for model in dict.fromkeys([*(cell.model for cell in plan.cells), *models_on_disk(run)]):
        _look_at(run, model, [cell for cell in plan.cells if cell.model == model], samples_max, found)
    return RunState(
        folder=run,
        plan=plan,
        holder=find_holder(run),
        cells=tuple(found.cells[cell.name] for cell in plan.cells),
        stale=tuple(found.stale),
        defects=found.defects,
        journals=tuple(list_journals(run)),
        bent_journals=tuple(list_bent_journals(run)),
        set_aside=tuple(list_set_aside(run)),
    )


def _look_at(run: Path, model: str, cells: Sequence[Cell], samples_max: int | None, found: _Found) -> None:
    wanted = [read_wanted(run, cell) for cell in cells]
    try:
        rows = read_rows(run, model, wanted)
        found.stale += find_stale(run, model, rows, wanted)
    except BakeoffError as error:
        found.defects[model] = str(error)
        found.cells.update((each.cell.name, _unknown(each)) for each in wanted)
        return
    found.cells.update((each.cell.name, compare(each, rows, samples_max)) for each in wanted)


def _unknown(wanted: Wanted) -> CellState:
    return CellState(wanted.cell, wanted.answers, len(wanted.keys), None, None)
