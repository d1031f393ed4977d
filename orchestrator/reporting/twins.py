"""Which prompts a row stands for beside its own, where the model ignores them."""

from collections.abc import Sequence

from orchestrator.scoring import CellName
from orchestrator.scoring.cell_name import params_text
from orchestrator.scoring.summary import Twin


def deaf_sentences(models: Sequence[str], twins: Sequence[Twin]) -> tuple[str, ...]:
    """Return which of `models` ignore the prompt, and which of their cells stand for others; models alike once."""
    alike: dict[str, list[str]] = {}
    for model in models:
        alike.setdefault(_stand_in([twin for twin in twins if twin.cell.model == model]), []).append(model)
    return tuple(
        f"{', '.join(those)} {'ignores' if len(those) == 1 else 'ignore'} the prompt: asked once an image, the answer "
        f"counts for all its questions{f'; here {stand_in}' if stand_in else ''}."
        for stand_in, those in alike.items()
    )


def _stand_in(twins: Sequence[Twin]) -> str:
    """Return whose rows stand for which of a model's cells, by prompt alone where the parameters are the same."""
    found: dict[str, dict[str, None]] = {}
    for twin in twins:
        is_prompt = twin.cell.params == twin.kept.params
        kept, other = (cell.prompt if is_prompt else _label(cell) for cell in (twin.kept, twin.cell))
        found.setdefault(kept, {})[other] = None
    return ", ".join(
        f"`{kept}` stands for {' and '.join(f'`{other}`' for other in others)} too" for kept, others in found.items()
    )


def _label(cell: CellName) -> str:
    return " / ".join(part for part in (params_text(cell.params), cell.prompt) if part)
