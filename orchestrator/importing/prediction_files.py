"""Read files of finished predictions: lmms-eval's, VLMEvalKit's, and plain tables."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.datasets.table import SUFFIXES, label, open_table
from orchestrator.errors import BakeoffError, UsageError

_IDS = ("sample_id", "index", "id", "doc_id")
_TEXTS = ("filtered_resps", "resps", "prediction", "model_answer", "output", "answer_text", "response")
_LISTED = ("filtered_resps", "resps")  # of which lmms-eval keeps a list each; the first is the one it scores


class Prediction(NamedTuple):
    """One answer of another program, None where it has none; `place` counts the samples from 0, where no id is ours."""

    where: str
    id: str | None
    place: int | None
    text: str | None
    target: str | None


def read_predictions_of(source: Path) -> Iterator[Prediction]:
    """Yield the predictions of a file by its suffix; raise BakeoffError naming what cannot be read."""
    suffix = source.suffix.lower()
    if not source.is_file():
        raise UsageError(f"{source}: there is no such file")
    if suffix in SUFFIXES:
        table = open_table(source)
        names = [label(table.columns, number) for number in range(len(table.columns))]
        rows: Iterator[tuple[str, Mapping[str, Any]]] = (
            (f"line {row.line}", dict(zip(names, row.cells, strict=True))) for row in table.rows()
        )
    elif suffix == ".json":
        rows = _json_rows(source)
    elif suffix in {".jsonl", ".ndjson"}:
        rows = _jsonl_rows(source)
    else:
        raise UsageError(f"{source}: should be a .jsonl, .json, .csv, .tsv or .xlsx file")
    seen: dict[str, str] = {}
    for where, row in rows:
        prediction = _prediction(source, where, row)
        name = prediction.id if prediction.id is not None else f"#{prediction.place}"
        if name in seen:
            raise BakeoffError(f"{source}, {where}: sample '{name}' was there before, in {seen[name]}")
        seen[name] = where
        yield prediction


def _jsonl_rows(source: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with source.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"line {number}", _parse(source, f"line {number}", line)


def _json_rows(source: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    data = _parse(source, "the file", source.read_bytes())
    for number, row in enumerate(data if isinstance(data, list) else [data], start=1):
        yield f"entry {number}", row


def _parse(source: Path, where: str, data: bytes) -> Any:
    try:
        return json.loads(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BakeoffError(f"{source}, {where}: is not JSON in UTF-8") from error


def _prediction(source: Path, where: str, row: Any) -> Prediction:
    if not isinstance(row, dict):
        raise BakeoffError(f"{source}, {where}: is not an object")
    column = next((name for name in _TEXTS if row.get(name) not in (None, [])), None)
    if column is None and not any(name in row for name in _TEXTS):
        raise BakeoffError(f"{source}, {where}: has no prediction (there are: {', '.join(row)}); call it 'prediction'")
    known = next((name for name in _IDS if row.get(name) not in (None, "")), None)
    if known is None:
        raise BakeoffError(f"{source}, {where}: names no sample; it should have one of {', '.join(_IDS)}")
    is_place = known == "doc_id"
    target = row.get("target") if is_place else row.get("answer")
    place = _place(row[known]) if is_place else None
    if is_place and place is None:
        raise BakeoffError(f"{source}, {where}: doc_id should be a whole number")
    return Prediction(
        where,
        None if is_place else str(row[known]),
        place,
        _text(_first(row[column]) if column in _LISTED else row[column]) if column else None,
        None if target in (None, "") else _text(target),
    )


def _place(value: Any) -> int | None:
    """Return the number that `value` says, None where it says no whole one."""
    try:
        return int(value) if not isinstance(value, float) or value.is_integer() else None
    except (TypeError, ValueError, OverflowError):
        return None


def _first(value: Any) -> Any:
    """Return the first of nested lists, as lmms-eval keeps its responses; None of an empty one."""
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def _text(value: Any) -> str | None:
    """Return `value` as text, a list of one as that one; half surrogate pairs become U+FFFD, as those of runners do."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
