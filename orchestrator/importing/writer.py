"""Write a dataset of records: its images, `annotation.csv`, where it came from, what was left out."""

import contextlib
import csv
import hashlib
import io
import json
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from orchestrator import __version__
from orchestrator.datasets.annotation import FILE_NAME, SPELLINGS
from orchestrator.files import check_space, disk_errors
from orchestrator.importing.record import Picture, Problem, Record

ABOUT_NAME = "dataset.json"
PROBLEMS_NAME = "problems.csv"
LINE_END = "\r\n"  # of which either half in a cell is then quoted (RFC 4180)
_COLUMNS = (
    *("id", "image_path", "question", "answer", "alternatives", "doc_class", "question_type"),
    *("answer_bbox", "document"),
)
_UNFIT = re.compile(r"[^\w.\-]+")
_HALVES = re.compile("[\ud800-\udfff]")
_NAME_MAX = 80
_CHUNK = 1 << 20
_ROWS_A_LOOK = 256


@dataclass(slots=True)
class Outcome:
    """What an import made: the folder, how many questions and images, and what could not be imported."""

    folder: Path
    rows: int = 0
    images: int = 0
    problems: list[Problem] = field(default_factory=list)


def write_dataset(folder: Path, records: Iterable[Record | Problem], about: dict[str, Any]) -> Outcome:
    """Write `folder` with the questions of `records`, streamed; a folder that is there is replaced once all is written.

    Nothing is left where it is cut short. Raises DiskError where the disk is full.
    """
    outcome = Outcome(folder)
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        with disk_errors(folder):
            temporary.mkdir(parents=True)
            _write(temporary, records, outcome)
            if outcome.problems:
                _write_problems(temporary / PROBLEMS_NAME, outcome.problems)
            told = {"version": 1, **about, "created": datetime.now(UTC).isoformat(timespec="seconds")}
            counts = {"rows": outcome.rows, "images": outcome.images, "problems": len(outcome.problems)}
            text = json.dumps({**told, "bakeoff": __version__, **counts}, indent=1, ensure_ascii=False)
            (temporary / ABOUT_NAME).write_text(text + "\n", encoding="utf-8")
            if outcome.rows:
                _move_over(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return outcome


def _write(folder: Path, records: Iterable[Record | Problem], outcome: Outcome) -> None:
    """Write rows and images; the columns are known when the last record was seen, so rows wait in a file."""
    images = _Images(folder / "images")
    extra: dict[str, None] = {}
    used: set[str] = set()
    ids: set[str] = set()
    with tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder) as waiting:
        for record in records:
            if isinstance(record, Record) and (unfit := _find_unfit(record, ids)):
                record = Problem(record.id or f"question {outcome.rows + 1}", unfit)  # noqa: PLW2901 - it is one now
            if isinstance(record, Problem):
                outcome.problems.append(record)
                continue
            if outcome.rows % _ROWS_A_LOOK == 0:
                check_space(folder)
            row = _row(record, [images.keep(picture) for picture in record.images])
            extra.update(dict.fromkeys(record.metadata))
            used.update(name for name, value in row.items() if value is not None)
            told = [row, {name: _text(value) for name, value in record.metadata.items()}]
            waiting.write(json.dumps(told) + "\n")
            outcome.rows += 1
        columns = [name for name in _COLUMNS if name in used | {"image_path", "question"}]
        waiting.seek(0)
        with (folder / FILE_NAME).open("w", encoding="utf-8", newline="") as file:
            unanswered = _write_rows(file, columns, [*extra], waiting)
    outcome.problems.extend(unanswered)
    outcome.rows -= len(unanswered)
    outcome.images = images.count


def _write_rows(file: IO[str], columns: Sequence[str], extra: Sequence[str], waiting: Iterable[str]) -> list[Problem]:
    """Write the rows that wait; return those without an answer where others have one: empty, it would be right."""
    unanswered: list[Problem] = []
    writer = csv.writer(file, lineterminator=LINE_END)
    writer.writerow([*columns, *(_column_name(name) for name in extra)])
    for number, line in enumerate(waiting, start=1):
        row, metadata = json.loads(line)
        if "answer" in columns and row["answer"] is None:
            unanswered.append(
                Problem(row["id"] or row["document"] or f"question {number}", "it has no answer, which others have")
            )
            continue
        writer.writerow([*(row[name] for name in columns), *(metadata.get(name, "") for name in extra)])
    return unanswered


def _row(record: Record, names: Sequence[str]) -> dict[str, str | None]:
    box = record.answer_bbox
    return {
        "id": record.id,
        "image_path": names[0] if len(names) == 1 and names[0][:1] != "[" else json.dumps(list(names)),
        "question": record.question,
        "answer": record.answer,
        "alternatives": json.dumps(record.alternatives, ensure_ascii=False) if record.alternatives else None,
        "doc_class": record.doc_class,
        "question_type": record.question_type,
        "answer_bbox": json.dumps([int(x) if x == int(x) else x for x in box]) if box else None,
        "document": record.document,
    }


def _find_unfit(record: Record, ids: set[str]) -> str | None:
    """Say why a table in UTF-8 cannot hold the record, whose id is added to `ids`, or None."""
    if record.id is not None:
        if not record.id or record.id in ids:
            return "its id was used before; ids are unique" if record.id else "its id is empty"
        ids.add(record.id)
    texts = (record.question, record.answer or "", *record.alternatives, record.document or "", record.id or "")
    for text in (*texts, *map(_text, record.metadata.values())):
        if "\0" in text:
            return "it holds a NUL character"
        if _HALVES.search(text):
            return "it holds half a character (U+D800 to U+DFFF)"
    return None


def _column_name(name: str) -> str:
    """Return the name of a further column, which must not be read as one of ours."""
    return f"source_{name}" if "".join(c for c in name.casefold() if c.isalnum()) in _taken() else name


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class _Images:
    """The images of a dataset: each content once, under a name that tells where it came from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    @property
    def count(self) -> int:
        return len(self._names)

    def keep(self, picture: Picture) -> str:
        """Write the picture, unless its bytes are there; return its path in the dataset."""
        with _opened(picture.content) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest not in self._names:
                self._names[digest] = f"images/{self._free_name(picture.name)}"
                self._folder.mkdir(exist_ok=True)
                file.seek(0)
                with (self._folder.parent / self._names[digest]).open("xb") as copy:
                    shutil.copyfileobj(file, copy, _CHUNK)
        return self._names[digest]

    def _free_name(self, name: str) -> str:
        path = Path(_UNFIT.sub("_", name).strip("._") or "image")
        stem, suffix = path.stem[:_NAME_MAX], path.suffix[:10].lower()
        number, free = 1, f"{stem}{suffix}"
        while free.casefold() in self._taken:
            number += 1
            free = f"{stem}-{number}{suffix}"
        self._taken.add(free.casefold())
        return free


@contextlib.contextmanager
def _opened(content: bytes | Path) -> Iterator[io.BytesIO | io.BufferedReader]:
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        yield file


def _taken() -> frozenset[str]:
    """Return how our own columns may be spelled, plainly."""
    return frozenset(name for field, names in SPELLINGS.items() for name in (field.replace("_", ""), *names))


def _write_problems(path: Path, problems: Sequence[Problem]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=LINE_END)
        writer.writerow(("what", "reason"))
        writer.writerows(problems)


def _move_over(temporary: Path, folder: Path) -> None:
    """Put the new folder in the place of an old one."""
    old = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    if folder.exists():
        folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
