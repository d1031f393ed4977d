"""Take cells out of what a run was asked; their answers stay."""

from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.errors import UsageError
from orchestrator.results.plan import Cell, now, read_plan, write_plan
from orchestrator.running.lock import holding
from orchestrator.scoring.cell_name import CellName, cells_called, short_names
from orchestrator.scoring.matching import no_such_cell


def drop_cells(run: Path, names: Sequence[str], *, dry_run: bool = False) -> tuple[str, ...]:
    """Take the cells called `names` out of the plan of `run`, as reports name them, or all of a model; return them.

    Their answers stay in the run's files, where the same question finds them again. The run has to be scored again.
    Raises UsageError for a name that is none, or where no cell would be left; LockedError where somebody works on it.
    """
    cells = {_name(run, cell): cell for cell in read_plan(run).cells}
    dropped = {cells[found].name for name in names for found in _find(run, name, list(cells))}
    return drop(run, lambda cell: cell.name in dropped, dry_run=dry_run)


def _find(run: Path, name: str, cells: list[CellName]) -> list[CellName]:
    """Return the cell called `name`, or all of the model that is called so."""
    if of_model := [cell for cell in cells if cell.model == name]:
        return of_model
    found, shown = cells_called(name, cells), short_names(cells)
    if not found:
        raise UsageError(no_such_cell(run, name, shown, [*shown, *(cell.model for cell in cells)]))
    if len(found) > 1:
        told = ", ".join(short for cell, short in zip(cells, shown, strict=True) if cell in found)
        raise UsageError(f"{run.name}: '{name}' has several cells; name one of them or several: {told}")
    return found


def drop(run: Path, is_dropped: Callable[[Cell], bool], *, dry_run: bool = False) -> tuple[str, ...]:
    """Take the cells for which `is_dropped` holds out of the plan of `run`; see `drop_cells`."""
    with holding(run):
        plan = read_plan(run)
        left = tuple(cell for cell in plan.cells if not is_dropped(cell))
        dropped = tuple(text(run, cell) for cell in plan.cells if is_dropped(cell))
        if dropped and not left:
            raise UsageError(f"{run.name}: no cell would be left; to be rid of the run delete its folder, {run}")
        if dropped and not dry_run:
            models = {cell.model for cell in left}
            failures = {model: why for model, why in plan.failures.items() if model in models}
            write_plan(run, plan.model_copy(update={"cells": left, "updated": now(), "failures": failures}))
    return dropped


def text(run: Path, cell: Cell) -> str:
    """Return what reports call `cell`."""
    return _name(run, cell).text


def _name(run: Path, cell: Cell) -> CellName:
    model, params, prompt = cell.name
    return CellName(run=run.name, model=model, params=params, prompt=prompt)
