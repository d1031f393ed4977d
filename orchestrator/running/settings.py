"""The settings that a model is asked with: a worker is loaded with one set of parameters, cells of others wait."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from orchestrator.identity import canonical
from orchestrator.results.plan import Cell


class Setting(NamedTuple):
    """Cells of one model that one worker can answer; `name` tells them from its others, empty where there are none."""

    name: str
    cells: tuple[Cell, ...]


def find_settings(cells: Iterable[Cell]) -> tuple[Setting, ...]:
    """Return the settings of `cells`, all of one model: alike in parameters, samples and repeats, in their order."""
    groups: dict[tuple[str, int | None, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((canonical(cell.params), cell.limit, cell.repeats), []).append(cell)
    facts = [_facts(group[0]) for group in groups.values()]
    return tuple(Setting(_name(own, facts), tuple(group)) for own, group in zip(facts, groups.values(), strict=True))


def _facts(cell: Cell) -> dict[str, Any]:
    return {**cell.params, "--limit": cell.limit, "--repeat": cell.repeats}


def _name(own: dict[str, Any], all_facts: list[dict[str, Any]]) -> str:
    """Return those of `own` in which the settings differ, as `name=value name=value`."""
    keys = [key for key in own if len({canonical(facts.get(key)) for facts in all_facts}) > 1]
    return " ".join(f"{key}={json.dumps(own[key], ensure_ascii=False)}" for key in keys)
