"""A folder of images and a file that says what is right: csv, json or jsonl, keyed by the file's name or path.

\b
Examples:
  bakeoff dataset import folder scans/ scans --truth truth.csv
  bakeoff dataset import folder ids/ ids --truth fields.json --per-field "What is the {field}?"
\b
json may be an object as {"a.png": "text"} or {"a.png": {"date": "…"}}, or a list of objects that name the file. An
image without a row, and a row without an image, are told and left out.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.images import SUFFIXES
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.importing.url_rows import SPELLINGS, Line, find_column, find_unfit, read_lines, written
from orchestrator.parsing import Frozen

_TRUTH_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
_FILE_NAMES = ("file_name", "filename", "file", "image", "image_path", "path", "name", "img", "image_name", "id")


class Options(Frozen):
    """Which file says what is right, and what is asked."""

    truth: str | None = Field(None, description="The file with the ground truth. [default: the only one in SOURCE]")
    file: str | None = Field(None, description="Its column with the image's name. [default: file_name, image …]")
    answer: str | None = Field(None, description="Its column with the answer. [default: answer, text, label …]")
    question: str = Field("Transcribe all the text.", description="What is asked where no column says it.")
    per_field: str | None = Field(None, description="Ask for every field of an object apart, {field} being its name.")


def read(source: Source, options: Options, notify: Notify) -> Iterator[Record | Problem]:
    """Yield a question per row of the truth file, in its order; then a Problem per image that no row names."""
    folder = Path(source.given).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{source.given}: is not a folder; give the one with the images")
    if options.per_field is not None and "{field}" not in options.per_field:
        raise UsageError("--per-field: should have {field} in it, as 'What is the {field}?'")
    images = _Images(folder)
    for line in _read_truth(_find_truth(folder, options.truth)):
        if isinstance(line, Problem):
            yield line
        else:
            yield from _records(line, images, options)
    unused = images.unused()
    if unused:
        notify(f"{len(unused)} images are named by no row of the truth")
    for name in unused:
        yield Problem(name, "no row of the truth names it")


class _Images:
    """The images of a folder, found by path, by name where that is unique, or by either without suffix."""

    def __init__(self, folder: Path) -> None:
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        self._paths = {path.relative_to(folder).as_posix(): path for path in found}
        self._by_end: dict[str, str] = {}
        ends = [(end, name) for name in self._paths for end in _ends(name)]
        times = Counter(end for end, _ in ends)
        self._by_end = {end: name for end, name in ends if times[end] == 1}
        self._several = {end for end, n in times.items() if n > 1}
        self._used: set[str] = set()

    def find(self, given: str) -> tuple[str, Path] | str:
        """Return the image's name and path, or why there is none."""
        plain = given.replace("\\", "/").removeprefix("./").removeprefix("file://")
        name = plain if plain in self._paths else self._by_end.get(plain) or self._by_end.get(plain.rsplit("/", 1)[-1])
        if name is None:
            several = plain in self._several or plain.rsplit("/", 1)[-1] in self._several
            return "several images are called so; write its path" if several else "there is no such image"
        self._used.add(name)
        return name, self._paths[name]

    def unused(self) -> list[str]:
        """Return the names of the images that were never asked for."""
        return [name for name in self._paths if name not in self._used]


def _ends(name: str) -> set[str]:
    base = name.rsplit("/", 1)[-1]
    return {base, base.rsplit(".", 1)[0], name.rsplit(".", 1)[0]}


def _find_truth(folder: Path, given: str | None) -> Path:
    if given is not None:
        path = Path(given).expanduser()
        within = folder / given
        return within if not path.exists() and within.exists() else path
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _TRUTH_SUFFIXES)
    if len(found) != 1:
        told = f"{len(found)} files that may be it" if found else "no csv, json or jsonl file"
        raise UsageError(f"{folder}: has {told}; say which says what is right with --truth FILE")
    return found[0]


def _read_truth(path: Path) -> Iterator[Line | Problem]:
    """Yield rows; an object whose keys name images is a row for each of them."""
    if path.suffix.lower() == ".json" and path.is_file():
        try:
            data = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise BakeoffError(f"{path}: is not JSON in UTF-8: {error}") from error
        if isinstance(data, dict) and any(Path(key).suffix.lower() in SUFFIXES for key in data):
            for key, value in data.items():
                row = value if isinstance(value, dict) and _has_answer(value) else {"answer": value}
                yield Line(f"key '{key}'", {"file_name": key, **row})
            return
    yield from read_lines(path)


def _has_answer(value: Mapping[str, Any]) -> bool:
    """Tell whether an object is a row with a question and an answer, and not itself the answer."""
    return find_column("answer", None, value) is not None and find_column("question", None, value) is not None


def _records(line: Line, images: _Images, options: Options) -> Iterator[Record | Problem]:
    column = _file_column(line.values, options.file)
    if column is None:
        yield Problem(line.where, f"names no image (columns: {', '.join(line.values)}); say which does with --file")
        return
    found = images.find(str(line.values[column]))
    if isinstance(found, str):
        yield Problem(f"{line.where}, {line.values[column]}", found)
        return
    if unfit := find_unfit(line.values):
        yield Problem(line.where, unfit)
        return
    named = {
        field: find_column(field, None, line.values) for field in SPELLINGS if field not in ("url", "answer", "id")
    }
    named["answer"] = find_column("answer", options.answer, line.values)
    if named["answer"] is None and options.answer is None and options.per_field is None:
        rest = [name for name in line.values if name != column and name not in named.values()]
        named["answer"] = rest[0] if len(rest) == 1 else None
    yield from _questions(line, Picture(*found), {**named, "file": column}, options)


def _questions(line: Line, image: Picture, named: Mapping[str, str | None], options: Options) -> Iterator[Record]:
    def text(field: str) -> str | None:
        name = named[field]
        return (written(line.values[name]) or None) if name is not None else None

    used = {name for name in named.values() if name is not None}
    metadata = {name: value for name, value in line.values.items() if name not in used}
    shared: dict[str, Any] = {"doc_class": text("doc_class"), "document": text("document"), "images": (image,)}
    answer = line.values[named["answer"]] if named["answer"] is not None else None
    fields = answer if isinstance(answer, dict) else metadata if named["answer"] is None else None
    if options.per_field is not None and fields:
        for name, value in fields.items():
            question = options.per_field.replace("{field}", name)
            yield Record(question, written(value) or "", question_type=name, **shared)
        return
    question = text("question") or options.question
    right = written(answer) if named["answer"] is not None else None
    yield Record(question, right, question_type=text("question_type"), metadata=metadata, **shared)


def _file_column(values: Mapping[str, Any], given: str | None) -> str | None:
    if given is not None:
        return given if given in values else None
    plain = {"".join(c for c in name.casefold() if c.isalnum()): name for name in reversed(list(values))}
    return next((plain[n] for n in (name.replace("_", "") for name in _FILE_NAMES) if n in plain), None)
