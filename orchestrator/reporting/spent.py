"""What a run's answers took: tokens, money, and the models that served them."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow.compute as pc

from orchestrator.reporting.numbers import NOTHING
from orchestrator.reporting.tabular import Table
from orchestrator.results.view import read_predictions

_COLUMNS = ("input_tokens", "output_tokens", "cost", "stop_reason", "served_model", "status")
_CUT = {"length", "max_tokens"}
_HEADER = ("model", "answers", "input tokens", "output tokens", "US dollars", "cut at the limit", "served by")
_SERVED_MAX = 3


def spent_table(run: Path, models: Iterable[str]) -> Table | None:
    """Return what the answers of each model took, those asked before and not scored now included.

    None where no runner tells tokens or costs. A figure that only some answers have says of how many it is.
    """
    rows = [row for model in models if (row := _row(run, model)) is not None]
    return Table("What the answers took", _HEADER, tuple(rows), 1) if rows else None


def _row(run: Path, model: str) -> tuple[str, ...] | None:
    sums: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    served: Counter[str] = Counter()
    answers = cut = 0
    for batch in read_predictions(run, model, _COLUMNS):
        answers += pc.sum(pc.equal(batch["status"], "ok")).as_py() or 0
        cut += sum(batch["stop_reason"].to_pylist().count(word) for word in _CUT)
        served.update(name for name in batch["served_model"].drop_null().to_pylist())
        for name in ("input_tokens", "output_tokens", "cost"):
            sums[name] += pc.sum(batch[name]).as_py() or 0
            counts[name] += len(batch) - batch[name].null_count
    if not any(counts.values()):
        return None

    def text(name: str, form: str) -> str:
        of = f" ({counts[name]} of {answers})" if 0 < counts[name] < answers else ""
        return f"{sums[name]:{form}}{of}" if counts[name] else NOTHING

    names = [name for name, _ in served.most_common(_SERVED_MAX)] + ["…"] * (len(served) > _SERVED_MAX)
    tokens = (text("input_tokens", ","), text("output_tokens", ","))
    return (model, f"{answers:,}", *tokens, text("cost", ".4f"), str(cut), ", ".join(names) or NOTHING)
