"""Name cells by what they differ in."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError
from orchestrator.identity import canonical

if TYPE_CHECKING:
    from orchestrator.experiments.resolve import SetCell

_SEPARATOR = " / "
_PLAIN = ("run", "model", "prompt")


def name_cells(cells: "Sequence[SetCell]") -> "tuple[SetCell, ...]":
    """Return `cells` named by what differs among them, such as `rapidocr / max_new_tokens=64 / short`.

    Of parameters, limits and repeats that is what differs among the cells of one model: the rest its name tells. Where
    nothing differs the model is the name. A name that the file gives to one cell alone is taken as it is.
    """
    names = name_facts([_facts(cell) for cell in cells])
    given = [cell.aliases[0] if len(cell.aliases) == 1 else None for cell in cells]
    return tuple(
        replace(cell, name=own_name if own_name and given.count(own_name) == 1 else name)
        for cell, own_name, name in zip(cells, given, names, strict=True)
    )


def refuse_taken_names(cells: "Sequence[SetCell]", path: Path) -> None:
    """Raise UsageError where the file gives a cell the name that another has, which it was not given."""
    names = Counter(cell.name for cell in cells)
    for cell in cells:
        if cell.name in cell.aliases and names[cell.name] > 1:
            raise UsageError(
                f"{path}: the name '{cell.name}', given to a cell of model '{cell.model.name}', is what another cell "
                "is called by what it asks; give one of them another"
            )


def name_facts(facts: Sequence[dict[str, Any]]) -> list[str]:
    """Return a name for each of the cells of which `facts` tell `model`, `prompt`, and `params.NAME` or others."""
    plain = [key for key in _differing(facts) if key in _PLAIN]
    by_model: dict[str, list[dict[str, Any]]] = {}
    for own in facts:
        by_model.setdefault(own["model"], []).append(own)
    settings = {model: [key for key in _differing(alike) if key not in _PLAIN] for model, alike in by_model.items()}
    return [_name(own, [*plain, *settings[own["model"]]] or ["model"]) for own in facts]


def _differing(facts: Sequence[dict[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for own in facts for key in own)
    return [key for key in keys if len({canonical(own.get(key)) for own in facts}) > 1]


def _facts(cell: "SetCell") -> dict[str, Any]:
    params = {f"params.{name}": value for name, value in cell.overrides.items()}
    facts = {"run": cell.run, "model": cell.model.name, **params, "prompt": cell.prompt.id}
    return {**facts, "limit": cell.limit, "repeat": cell.repeats}


def _name(own: dict[str, Any], differing: Sequence[str]) -> str:
    """Return the run, the model, the parameters and the prompt, of those alone that differ."""
    plain = {key: str(own[key]) for key in _PLAIN if key in differing}
    params = " ".join(
        f"{key.removeprefix('params.')}={json.dumps(own[key], ensure_ascii=False)}"
        for key in differing
        if key not in plain and own.get(key) is not None
    )
    parts = (plain.get("run"), plain.get("model"), params, plain.get("prompt"))
    return _SEPARATOR.join(part for part in parts if part) or str(own["model"])
