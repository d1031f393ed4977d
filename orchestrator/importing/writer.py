"""Write a dataset of records: its images, `annotation.csv`, where it came from, what was left out."""

import csv
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
from orchestrator.datasets.annotation import FILE_NAME, SPELLINGS, load
from orchestrator.datasets.columns import nearly_one_of_ours
from orchestrator.datasets.table import plain_name
from orchestrator.errors import BakeoffError
from orchestrator.files import check_space, disk_errors
from orchestrator.importing.images import Images, UnreadableError
from orchestrator.importing.record import Problem, Record
from orchestrator.importing.url_rows import as_json

ABOUT_NAME = "dataset.json"
PROBLEMS_NAME = "problems.csv"
LINE_END = "\r\n"  # of which either half in a cell is then quoted (RFC 4180)
_COLUMNS = (
    *("id", "image_path", "question", "answer", "alternatives", "doc_class", "question_type"),
    *("answer_bbox", "document"),
)
_SEPARATORS = re.compile(r"[;\t\r\n]+")  # by which the header could be taken for one of another form
_HALVES = re.compile("[\ud800-\udfff]")
_ROWS_A_LOOK = 256
_PREFIX = "source_"


@dataclass(slots=True)
class Outcome:
    """What an import made: the folder, how many questions and images, and what could not be imported.

    `renamed` are columns of the source under another name, since their own would have been read as one of ours.
    """

    folder: Path
    rows: int = 0
    images: int = 0
    problems: list[Problem] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)


def write_dataset(folder: Path, records: Iterable[Record | Problem], about: dict[str, Any]) -> Outcome:
    """Write `folder` with the questions of `records`, streamed; a folder that is there is replaced once all is written.

    Nothing is left where it is cut short. Raises DiskError where the disk is full, BakeoffError where the source cannot
    be read on.
    """
    outcome = Outcome(folder)
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        with disk_errors(folder):
            temporary.mkdir(parents=True)
            _write(temporary, _source_errors(records), outcome)
            if outcome.problems:
                _write_problems(temporary / PROBLEMS_NAME, outcome.problems)
            told = {"version": 1, **about, "created": datetime.now(UTC).isoformat(timespec="seconds")}
            counts = {"rows": outcome.rows, "images": outcome.images, "problems": len(outcome.problems)}
            text = json.dumps({**told, "bakeoff": __version__, **counts}, indent=1, ensure_ascii=False)
            (temporary / ABOUT_NAME).write_text(text + "\n", encoding="utf-8")
            if outcome.rows:
                _check_opens(temporary, folder)
                _move_over(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return outcome


def _write(folder: Path, records: Iterable[Record | Problem], outcome: Outcome) -> None:
    """Write rows and images; the columns are known when the last record was seen, so rows wait in a file."""
    images = Images(folder / "images")
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
            try:
                names = [images.keep(picture) for picture in record.images]
            except UnreadableError as error:
                outcome.problems.append(Problem(record.id or f"question {outcome.rows + 1}", str(error)))
                continue
            row = _row(record, names)
            extra.update(dict.fromkeys(record.metadata))
            used.update(name for name, value in row.items() if value is not None)
            told = [row, {name: _text(value) for name, value in record.metadata.items()}, names]
            waiting.write(json.dumps(told) + "\n")
            outcome.rows += 1
        columns = [name for name in _COLUMNS if name in used | {"image_path", "question"}]
        outcome.renamed = _find_renamed([*extra], columns)
        waiting.seek(0)
        with (folder / FILE_NAME).open("w", encoding="utf-8", newline="") as file:
            unanswered, shown = _write_rows(file, columns, [*extra], waiting)
    images.drop_all_but(shown)
    outcome.problems.extend(unanswered)
    outcome.rows -= len(unanswered)
    outcome.images = images.count


def _write_rows(
    file: IO[str], columns: Sequence[str], extra: Sequence[str], waiting: Iterable[str]
) -> tuple[list[Problem], set[str]]:
    """Write the rows that wait; return those without an answer where others have one: empty, it would be right.

    After them the names of all images that the rows show.
    """
    unanswered: list[Problem] = []
    shown: set[str] = set()
    writer = csv.writer(file, lineterminator=LINE_END)
    writer.writerow([*columns, *_column_names(extra, columns)])
    for number, line in enumerate(waiting, start=1):
        row, metadata, names = json.loads(line)
        if "answer" in columns and row["answer"] is None:
            unanswered.append(
                Problem(row["id"] or row["document"] or f"question {number}", "it has no answer, which others have")
            )
            continue
        writer.writerow([*(row[name] for name in columns), *(metadata.get(name, "") for name in extra)])
        shown.update(names)
    return unanswered, shown


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
    for text in (*texts, *record.metadata, *map(_text, record.metadata.values())):
        if "\0" in text:
            return "it holds a NUL character"
        if _HALVES.search(text):
            return "it holds half a character (U+D800 to U+DFFF)"
    return None


def _column_names(names: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """Yield names for further columns: none is read as one of ours or refused as a misspelt one, none is there twice.

    `columns` are ours. Case, spaces and punctuation make no other name.
    """
    ours = _taken()
    used: set[str] = set()
    for name in names:
        stem = _SEPARATORS.sub(" ", name).strip() or "unnamed"
        if plain_name(stem) in ours or nearly_one_of_ours(stem, columns):
            stem = f"{_PREFIX}{stem}"
        number, free = 1, stem
        while plain_name(free) in used:
            number += 1
            free = f"{stem}_{number}"
        used.add(plain_name(free))
        yield free


def _find_renamed(names: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    return {
        old: new
        for old, new in zip(names, _column_names(names, columns), strict=True)
        if new.startswith(_PREFIX) and not old.startswith(_PREFIX)
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else as_json(value)


def _source_errors(records: Iterable[Record | Problem]) -> Iterator[Record | Problem]:
    """Yield `records`; what an operating system says meanwhile is about the source, not about the dataset."""
    try:
        yield from records
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise BakeoffError(f"{where}the source cannot be read on: {error.strerror or error}") from error


def _check_opens(temporary: Path, folder: Path) -> None:
    """Raise BakeoffError where the new dataset cannot be opened, before it takes the place of an older one."""
    try:
        next(load(temporary))
    except BakeoffError as error:
        raise type(error)(str(error).replace(str(temporary), str(folder))) from error


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
    if old.is_symlink():
        old.unlink()
    shutil.rmtree(old, ignore_errors=True)
