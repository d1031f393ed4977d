"""Rows of predictions as the journal takes them, made of what a worker answered or why it did not."""

import math
import time
from collections.abc import Callable
from typing import Any

from orchestrator.identity import canonical
from orchestrator.protocol import Failure, Response
from orchestrator.results.schema import PENDING
from orchestrator.running.missing import Task

_STATUS_OF_KIND = {"bad_input": "bad_input", "refused": "refused"}

Row = dict[str, Any]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


# What a runner puts into `info` that has a column; a batch that ran out of memory was smaller than the worker saw.
_COLUMNS: dict[str, Callable[[Any], bool]] = {
    "cost": _is_number,
    "served_model": lambda value: isinstance(value, str),
    "batch_size": lambda value: type(value) is int and 0 < value < 1 << 31,
}


def response_row(task: Task, response: Response, text: str) -> Row:
    """Return the row of an answer; columns without a value are left out."""
    row = _row(task, "refused" if response.stop_reason == "content_filter" else "ok")
    row["text"] = text
    row["stop_reason"] = response.stop_reason
    row["latency_s"] = response.latency_s
    row["batch_size"] = response.batch_size
    if response.input_tokens is not None:
        row["input_tokens"] = response.input_tokens
    if response.output_tokens is not None:
        row["output_tokens"] = response.output_tokens
    if response.info is not None:
        try:
            row["info"] = canonical(take_columns(response.info, row))
        except ValueError as error:  # 1e999 is JSON, but a float is infinite
            message = f"its info cannot be kept: {error}"
            return {**_row(task, "error"), "error_kind": "bug", "error_message": message}
    return row


def take_columns(info: dict[str, Any], row: Row) -> dict[str, Any]:
    """Move what has a column of its own from `info` to `row`, where it is of the column's type; return the rest."""
    rest = dict(info)
    for name, is_fit in _COLUMNS.items():
        if name in rest and is_fit(rest[name]):
            row[name] = rest.pop(name)
    return rest


def failure_row(task: Task, failure: Failure) -> Row:
    """Return the row of a request that the runner answered with an error."""
    status = _STATUS_OF_KIND.get(failure.kind, "error")
    return {**_row(task, status), "error_kind": failure.kind, "error_message": failure.message}


def status_row(task: Task, status: str, message: str) -> Row:
    """Return the row of a request that never got an answer."""
    return {**_row(task, status), "error_message": message}


def begun_row(task: Task) -> Row:
    """Return the row that stands for a request while it is under way, and for good where we end before it does."""
    message = "no answer was recorded: bakeoff ended while this was under way"
    return {**_row(task, "lost"), "losses": task.losses + 1, "error_message": message}


def withdrawn_row(task: Task, reason: str) -> Row:
    """Return the row of a request that does not count as asked, and overrides that of `begun_row`."""
    if task.attempts == 0:
        return _row(task, PENDING)
    return status_row(task._replace(attempts=task.attempts - 1), "cancelled", f"it was not asked again: {reason}")


def defect_row(task: Task) -> Row:
    """Return the row of a sample that cannot be asked."""
    return {**_row(task, "bad_input"), "error_kind": "bad_input", "error_message": task.expected.defect}


def _row(task: Task, status: str) -> Row:
    expected = task.expected
    row = {
        "cell": task.cell,
        "key": expected.key,
        "sample_id": expected.sample_id,
        "repeat": expected.repeat,
        "status": status,
        "attempts": task.attempts + 1,
        "time": time.time_ns() // 1000,
    }
    if task.crashes:
        row["crashes"] = task.crashes
    if task.losses:
        row["losses"] = task.losses
    return row
