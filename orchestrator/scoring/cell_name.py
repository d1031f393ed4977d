"""What a cell is called."""

import json

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
        return " / ".join(part for part in (self.model, params_text(self.params), self.prompt) if part)


def params_text(params: str) -> str:
    """Return canonical JSON of parameters as `name=value name=value`."""
    return " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in json.loads(params).items())
