"""The predictions that are no answers, by what their runner or we said of them."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow.compute as pc

from orchestrator.reporting.table import Table
from orchestrator.results.view import read_predictions

ROWS_MAX = 10
_CHARS = 200


def failure_table(run: Path, models: Iterable[str]) -> Table | None:
    """Return the commonest messages of the failed predictions of `models`, stale ones too; None if all are answers."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for model in models:
        for batch in read_predictions(run, model, ("status", "error_message")):
            failed = batch.filter(pc.not_equal(batch["status"], "ok"))
            for status, message in zip(*(column.to_pylist() for column in failed.columns), strict=True):
                counts[model, status, _short(message or "")] += 1
    if not counts:
        return None
    rows = tuple((model, status, str(n), message) for (model, status, message), n in counts.most_common(ROWS_MAX))
    left = len(counts) - len(rows)
    notes = (f"{left} more messages are in predictions/.",) if left else ()
    return Table("What was not answered, and why", ("model", "status", "predictions", "message"), rows, 4, notes)


def _short(message: str) -> str:
    return message if len(message) <= _CHARS else message[: _CHARS - 1] + "…"
