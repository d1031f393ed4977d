"""What a run holds that a set does not ask: what left the set, or another set asked."""

from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.experiments.resolve import SetCell
from orchestrator.identity import canonical
from orchestrator.results.plan import Cell, read_plan
from orchestrator.scoring.cell_name import CellName

_NAMED_MAX = 3


def tell_outside(run: Path, cells: Sequence[SetCell]) -> str | None:
    """Return a sentence on the cells of `run` that are none of `cells`, all that its set asks of it; None: no others.

    They are scored, shown and compared with the rest, since the run is what is scored.
    """
    others = [cell.name for cell in filter(is_outside(cells), read_plan(run).cells)]
    if not others:
        return None
    named = ", ".join(CellName(run=run.name, model=m, params=p, prompt=q).text for m, p, q in others[:_NAMED_MAX])
    more = f" and {len(others) - _NAMED_MAX} more" if len(others) > _NAMED_MAX else ""
    what = "1 cell" if len(others) == 1 else f"{len(others)} cells"
    return (
        f"{what} of run {run.name} {'is' if len(others) == 1 else 'are'} not in the set (any more), but in its scores, "
        f"report and comparisons: {named}{more}; `--drop-others` takes them out, their answers stay"
    )


def is_outside(cells: Sequence[SetCell]) -> Callable[[Cell], bool]:
    """Return what tells whether a cell of a run is none of `cells`."""
    asked = {_name(cell) for cell in cells}
    return lambda cell: cell.name not in asked


def _name(cell: SetCell) -> tuple[str, str, str]:
    hidden = cell.model.runner.manifest.not_in_key
    overrides = {name: value for name, value in cell.overrides.items() if name not in hidden}
    return cell.model.name, canonical(overrides), cell.prompt.id
