"""Read a JSON, JSONL or CSV file that names images by URL, row by row."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from orchestrator.datasets.table import SUFFIXES, label, open_table
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.importing.record import Problem

SPELLINGS: dict[str, tuple[str, ...]] = {
    "url": ("url", "urls", "image_url", "image_urls", "image", "images", "iiif_url"),
    "id": ("id", "sample_id", "image_id", "unique_id", "uid", "uuid", "key"),
    "answer": (
        *("answer", "answers", "ground_truth", "gt", "reference", "expected_answer", "text", "transcription"),
        *("tags", "fields", "label", "labels"),
    ),
    "question": ("question", "questions"),
    "doc_class": ("doc_class", "doc_type", "document_class", "document_type"),
    "question_type": ("question_type", "question_class", "qtype"),
    "document": ("document", "document_id", "doc_id"),
}


_DEPTH_MAX = 200
_DIGITS_MAX = 4000  # Python's limit for an int of a text
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it, no backslash before a word


class Line(NamedTuple):
    """A row as it was read; `where` tells a person which it is."""

    where: str
    values: Mapping[str, Any]


class Number(float):
    """A number that remembers how it was written: 12.50 is an answer of five characters."""

    written: str

    def __new__(cls, written: str) -> Self:
        """Take the literal of a JSON file."""
        number = super().__new__(cls, written)
        number.written = written
        return number


def read_lines(path: Path) -> Iterator[Line | Problem]:
    """Yield the rows of `path`, by its suffix; a row that is none is a Problem.

    Raises UsageError or BakeoffError where nothing can be read.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; give a .json, .jsonl or .csv file with a URL on each row")
    try:
        path.open("rb").close()
    except OSError as error:
        raise BakeoffError(f"{path}: cannot be read: {error.strerror or error}") from error
    if suffix in SUFFIXES:
        return _read_table(path)
    if suffix in {".jsonl", ".ndjson"}:
        return _read_jsonl(path)
    if suffix == ".json":
        return _read_json(path)
    raise UsageError(f"{path}: should be a .json, .jsonl or .csv file")


def find_column(field: str, chosen: str | None, names: Mapping[str, Any]) -> str | None:
    """Return which of `names` is the column for `field`: the one that the user chose, else by its spelling.

    Raises UsageError where the chosen one is not there.
    """
    if chosen is not None:
        if chosen not in names:
            raise UsageError(f"there is no column '{chosen}' for the {field}; there are {', '.join(names)}")
        return chosen
    plain = {_plain(name): name for name in reversed(list(names))}
    return next((plain[_plain(name)] for name in SPELLINGS[field] if _plain(name) in plain), None)


def written(value: Any) -> str | None:
    """Return a value as an answer: texts and numbers as they were written, lists and objects as JSON, null as None."""
    if value is None or isinstance(value, str):
        return value
    return as_json(value)


def as_json(value: Any, depth: int = 0) -> str:
    """Return a value as JSON whose numbers are as they were written; what JSON does not know becomes a text.

    Raises RecursionError where it is nested more than 200 deep.
    """
    if depth > _DEPTH_MAX:
        raise RecursionError("nested too deep")
    if isinstance(value, Number):
        return value.written
    if isinstance(value, dict):
        members = (f"{json.dumps(str(k), ensure_ascii=False)}: {as_json(v, depth + 1)}" for k, v in value.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(as_json(item, depth + 1) for item in value)}]"
    return json.dumps(value, ensure_ascii=False, default=str)


def read_alternatives(value: Any) -> tuple[str, ...] | None:
    """Return the other right answers of a cell: a list of texts, or one as JSON; None where it is neither."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = parse_json(value.encode("utf-8", "surrogatepass"))
        except ValueError:
            return None
    if value in (None, ""):
        return ()
    return tuple(written(item) or "" for item in value) if isinstance(value, list) else None


def find_unfit(values: Mapping[str, Any]) -> str | None:
    """Return why the texts of a row cannot be kept in a table, or None."""
    try:
        text = as_json(dict(values))
    except RecursionError:
        return f"it is nested more than {_DEPTH_MAX} deep"
    if _NUL.search(text):
        return "it holds a NUL character, which no table can; take it out"
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        return "it holds half a character (\\ud800 to \\udfff); take it out"
    return None


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _read_table(path: Path) -> Iterator[Line | Problem]:
    table = open_table(path)
    names = [label(table.columns, position) for position in range(len(table.columns))]
    for row in table.rows():
        yield Line(f"line {row.line}", dict(zip(names, row.cells, strict=True)))


def _read_jsonl(path: Path) -> Iterator[Line | Problem]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not line.strip():
                continue
            where = f"line {number}"
            try:
                yield _as_line(where, parse_json(line))
            except ValueError as error:
                yield Problem(where, str(error))


def _read_json(path: Path) -> Iterator[Line | Problem]:
    try:
        data = parse_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise BakeoffError(f"{path}: {error}") from error
    for number, entry in enumerate(_entries(path, data), start=1):
        yield _as_line(f"row {number}", entry)


def _entries(path: Path, data: Any) -> list[Any]:
    """Return the rows: the list that the file is, or the only list of objects in it."""
    if isinstance(data, list):
        return data
    lists = (
        [v for v in data.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        if isinstance(data, dict)
        else []
    )
    if len(lists) == 1:
        return lists[0]
    raise BakeoffError(f'{path}: should be a list of objects, as [{{"id": "1", "url": "https://…", "answer": "…"}}]')


def _as_line(where: str, entry: Any) -> Line | Problem:
    if not isinstance(entry, dict):
        return Problem(where, 'is not an object, as {"id": "1", "url": "https://…", "answer": "…"}')
    return Line(where, entry)


def parse_json(data: bytes) -> Any:
    """Return what JSON in UTF-8 says, its numbers as they are written; raise ValueError, a sentence."""
    try:
        return json.loads(data.decode("utf-8"), parse_float=Number, parse_int=_integer)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    except RecursionError:
        raise ValueError("is nested too deep") from None
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None


def _integer(written: str) -> int | Number:
    return Number(written) if written == "-0" or len(written) > _DIGITS_MAX else int(written)
