"""What a cell is called."""

import json
from collections.abc import Sequence

from orchestrator.parsing import Frozen


class CellName(Frozen):
    """A cell of a run; `params` are its overrides as canonical JSON."""

    run: str
    model: str
    params: str
    prompt: str

    @property
    def text(self) -> str:
        """The name on one line, such as `rapidocr / question` or `qwen2-vl-2b / t=1 / question`."""
        return self._with(params_text(self.params))

    @property
    def without_params(self) -> str:
        """The model and the prompt alone, such as `rapidocr / question`."""
        return self._with("")

    def without(self, shared: frozenset[str]) -> str:
        """Return the name without the parameters that are called so."""
        params = {name: value for name, value in json.loads(self.params).items() if name not in shared}
        return self._with(params_text(json.dumps(params)))

    def _with(self, params: str) -> str:
        return " / ".join(part for part in (self.model, params, self.prompt) if part)


def short_names(cells: Sequence[CellName]) -> list[str]:
    """Return what reports call the cells of one run: parameters that all of them share are left out."""
    read = [json.loads(cell.params) for cell in cells]
    shared = frozenset(
        name for name in (read[0] if read else {}) if all(name in p and p[name] == read[0][name] for p in read)
    )
    return [cell.without(shared) for cell in cells]


def cells_called(name: str, cells: Sequence[CellName]) -> list[CellName]:
    """Return which of the cells of one run `name` may mean.

    It is the one that has exactly that name, else the one that reports call so, else all with that model and prompt or
    with that model alone.
    """
    for names in ([cell.text for cell in cells], short_names(cells)):
        found = [cell for cell, own in zip(cells, names, strict=True) if own == name]
        if len(found) == 1:
            return found
    return [cell for cell in cells if name in (cell.without_params, cell.model)]


def params_text(params: str) -> str:
    """Return canonical JSON of parameters as `name=value name=value`."""
    return " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in json.loads(params).items())
