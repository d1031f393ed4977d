"""The answers that a run should have and has not, by what their runner or we said of them."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.reporting.tabular import Table
from orchestrator.results.layout import PLAN_NAME, scores_path
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.plan import read_plan
from orchestrator.results.schema import SCORES
from orchestrator.results.view import read_predictions

ROWS_MAX = 10
_CHARS = 400
_COLUMNS = ("key", "status", "error_message", "text")
_HEADER = ("model", "status", "predictions", "message")


def failure_table(run: Path, models: Iterable[str]) -> Table | None:
    """Return the commonest messages of the predictions of `models` that are no answers; None if all are.

    Only those count that the scores miss: an older prediction that no cell asks for any more does not.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    said: dict[tuple[str, str], str] = {}
    for model in models:
        missed = _missed_keys(run, model)
        for batch in read_predictions(run, model, _COLUMNS) if missed else ():
            is_failed = pc.and_(pc.not_equal(batch["status"], "ok"), pc.is_in(batch["key"], pa.array(missed)))
            for row in batch.filter(is_failed).to_pylist():
                counts[model, row["status"], _short(row["error_message"] or "")] += 1
                if not row["error_message"] and row["text"]:
                    said.setdefault((model, row["status"]), row["text"])
    failures = read_plan(run).failures if (run / PLAN_NAME).is_file() else {}
    for model, failure in failures.items():
        counts[model, "failed", _short(failure)] = 0
    if not counts:
        return None
    rows = tuple(
        (model, status, str(n or "-"), why or _quoted(said.get((model, status)), n))
        for (model, status, why), n in counts.most_common(ROWS_MAX)
    )
    left = len(counts) - len(rows)
    notes = (f"{left} more messages are in predictions/.",) if left else ()
    return Table("What was not answered, and why", _HEADER, rows, len(_HEADER), notes)


def _missed_keys(run: Path, model: str) -> list[str]:
    """Return the keys of the expected answers without a score."""
    if not scores_path(run, model).is_file():
        return []
    keys: set[str] = set()
    with ParquetReader(scores_path(run, model), SCORES, remedy=f"run `bakeoff score {run.name}` again") as file:
        for batch in file.batches(["key", "reason"]):
            keys.update(batch["key"].filter(pc.is_valid(batch["reason"])).to_pylist())
    return sorted(keys)


def _quoted(text: str | None, count: int) -> str:
    """Return what the model said where a runner told no reason, as with a refusal; of several answers the first."""
    return f"{'said' if count == 1 else 'the first said'}: {_short(text)}" if text else ""


def _short(message: str) -> str:
    return message if len(message) <= _CHARS else message[: _CHARS - 1] + "…"
