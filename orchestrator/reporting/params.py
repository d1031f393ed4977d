"""Parameters where figures need the room: what all cells share is said once, what is long gets a number."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.identity import canonical
from orchestrator.scoring.cell_name import params_text

CHARS = 24


@dataclass(frozen=True, slots=True)
class Params:
    """How the parameters of cells are shown: a short text for each, and notes that say what is not in it."""

    short: dict[str, str]
    notes: tuple[str, ...]

    def of(self, params: str) -> str:
        """Return what stands in a table for `params`, canonical JSON."""
        return self.short[params] if params in self.short else params_text(params)


def shorten(cells: Iterable[str]) -> Params:
    """Return how the parameters of `cells`, canonical JSON each, are told apart in few characters."""
    read = {text: json.loads(text) for text in dict.fromkeys(cells)}
    dicts = list(read.values())
    first = dicts[0] if dicts else {}
    shared = {name: value for name, value in first.items() if all(name in d and d[name] == value for d in dicts)}
    rest = {
        text: params_text(canonical({name: value for name, value in params.items() if name not in shared}))
        for text, params in read.items()
    }
    notes = [f"Parameters of all cells: {params_text(canonical(shared))}."] if shared else []
    if max(map(len, rest.values()), default=0) > CHARS:
        numbered = {text: f"p{number}" for number, text in enumerate((t for t in rest if rest[t]), start=1)}
        notes += [f"{name}: {rest[text]}" for text, name in numbered.items()]
        rest = {text: numbered.get(text, "") for text in rest}
    return Params(rest, tuple(notes))
