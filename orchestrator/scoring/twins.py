"""Twins: cells that share all their answers, since the model ignores the prompt. One of them stands for the others."""

from orchestrator.identity import canonical
from orchestrator.results.plan import Cell, RunPlan
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.summary import Twin


def find_twins(plan: RunPlan) -> tuple[Twin, ...]:
    """Return the cells that need no figures of their own, each with the one that stands for it.

    Of cells whose answers have the same keys it is the one that was asked about the most samples, of these the first.
    A cell that was asked more often than it is no twin.
    """
    alike: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in plan.cells:
        if cell.ignores_prompt:
            alike.setdefault((cell.model, cell.runner_digest, canonical(cell.key_params)), []).append(cell)
    kept = {key: max(cells, key=lambda cell: _asked(plan, cell)) for key, cells in alike.items()}
    return tuple(
        Twin(cell=_name(plan, cell), kept=_name(plan, kept[key]))
        for key, cells in alike.items()
        for cell in cells
        if cell is not kept[key] and cell.repeats <= kept[key].repeats
    )


def _asked(plan: RunPlan, cell: Cell) -> int:
    return plan.samples if cell.limit is None else min(cell.limit, plan.samples)


def _name(plan: RunPlan, cell: Cell) -> CellName:
    model, params, prompt = cell.name
    return CellName(run=plan.name, model=model, params=params, prompt=prompt)
