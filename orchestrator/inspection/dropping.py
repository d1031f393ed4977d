"""Take cells out of what a run was asked; their answers stay."""

from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.errors import UsageError, nearest
from orchestrator.results.plan import Cell, now, read_plan, write_plan
from orchestrator.running.lock import holding
from orchestrator.scoring.cell_name import CellName


def drop_cells(run: Path, names: Sequence[str], *, dry_run: bool = False) -> tuple[str, ...]:
    """Take the cells called `names` out of the plan of `run`, as reports name them, or all of a model; return them.

    Their answers stay in the run's files, where the same question finds them again. The run has to be scored again.
    Raises UsageError for a name that is none, or where no cell would be left; LockedError where somebody works on it.
    """
    known = {text(run, cell): cell for cell in read_plan(run).cells}
    models = {cell.model for cell in known.values()}
    for name in names:
        if name not in known and name not in models:
            told = nearest(name, [*known, *models])
            raise UsageError(f"{run.name}: has no cell '{name}'{told}; its cells are {', '.join(known)}")
    return drop(run, lambda cell: cell.model in names or text(run, cell) in names, dry_run=dry_run)


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
    model, params, prompt = cell.name
    return CellName(run=run.name, model=model, params=params, prompt=prompt).text
