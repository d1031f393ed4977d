"""Short names of cells for heads and plots: what differs between them, and no more."""

import json
from collections.abc import Iterable, Sequence

from orchestrator.identity import canonical
from orchestrator.pages.totals import CellKey
from orchestrator.scoring.cell_name import params_text


def short_parts(cells: Iterable[CellKey]) -> dict[CellKey, tuple[str, ...]]:
    """Return for each cell its model, and what tells it from the others: parameters within its model, the prompt.

    No two cells have the same parts.
    """
    all_cells = list(dict.fromkeys(cells))
    by_model: dict[str, list[str]] = {}
    for model, params, _ in all_cells:
        by_model.setdefault(model, []).append(params)
    shared = {model: _shared(params) for model, params in by_model.items()}
    has_prompts = len({prompt for _, _, prompt in all_cells}) > 1
    return {
        (model, params, prompt): tuple(
            part for part in (model, _without(params, shared[model]), prompt if has_prompts else "") if part
        )
        for model, params, prompt in all_cells
    }


def _shared(texts: Sequence[str]) -> set[str]:
    """Return the names of parameters that are the same in all of `texts`, canonical JSON."""
    first, *rest = (json.loads(text) for text in texts)
    return {name for name, value in first.items() if all(name in each and each[name] == value for each in rest)}


def _without(text: str, names: set[str]) -> str:
    return params_text(canonical({name: value for name, value in json.loads(text).items() if name not in names}))
