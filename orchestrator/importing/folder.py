"""A folder of images and a file that says what is right: csv, json or jsonl, keyed by the file's name or path.

\b
Examples:
  bakeoff dataset import folder scans/ scans --truth truth.csv
  bakeoff dataset import folder ids/ ids --truth fields.json --per-field "What is the {field}?"
\b
json may be an object as {"a.png": "text"} or {"a.png": {"date": "…"}}, or a list of objects that name the file. An
image without a row, and a row without an image, are told and left out. A csv file with our own columns image_path and
question (see docs/datasets.md) keeps all of ours, boxes, alternatives and ids too.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.images import SUFFIXES
from orchestrator.importing.local import Local
from orchestrator.importing.matching import Matcher
from orchestrator.importing.own_form import find_own_columns, own_images, read_own
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.importing.url_rows import SPELLINGS, Line, find_column, find_unfit, parse_json, read_lines, written
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
    local = Local(source, folder)
    truth = _find_truth(folder, options.truth, local)
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if _is_image(p))
    ours = find_own_columns(truth) if options == Options(truth=options.truth) else {}
    if ours:
        kept = ", ".join(ours.values())
        notify(f"{truth} is of our own form: its folder can be used as it is; its columns {kept} keep their meaning")
    images = Matcher(names, "image", _given(truth, options, ours))
    for line in _read_truth(truth):
        if isinstance(line, Problem):
            yield line
        else:
            yield from _records(line, images, local, options, ours)
    unused = images.unused()
    if unused:
        notify(f"{len(unused)} images are named by no row of the truth")
    for name in unused:
        yield Problem(name, "no row of the truth names it")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _given(truth: Path, options: Options, ours: Mapping[str, str]) -> Iterator[str]:
    """Yield what the rows call their images."""
    for line in _read_truth(truth):
        if ours and isinstance(line, Line):
            with contextlib.suppress(ValueError):  # told when the row is read
                yield from own_images(line, ours)
        elif isinstance(line, Line) and (column := _file_column(line.values, options.file)) is not None:
            yield str(line.values[column])


def _find_truth(folder: Path, given: str | None, local: Local) -> Path:
    if given is not None:
        path = Path(given).expanduser()
        within = folder / given
        return within if not path.exists() and within.exists() else path
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _TRUTH_SUFFIXES)
    if len(found) != 1:
        told = f"{len(found)} files that may be it" if found else "no csv, json or jsonl file"
        raise UsageError(f"{folder}: has {told}; say which says what is right with --truth FILE")
    return local.check(found[0])


def _read_truth(path: Path) -> Iterator[Line | Problem]:
    """Yield rows; an object whose keys name images is a row for each of them."""
    if path.suffix.lower() == ".json" and path.is_file():
        try:
            data = parse_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        except (ValueError, OSError) as error:
            raise BakeoffError(f"{path}: {error}") from error
        if isinstance(data, dict) and any(Path(key).suffix.lower() in SUFFIXES for key in data):
            for key, value in data.items():
                row = value if isinstance(value, dict) and _has_answer(value) else {"answer": value}
                yield Line(f"key '{key}'", {"file_name": key, **row})
            return
    yield from read_lines(path)


def _has_answer(value: Mapping[str, Any]) -> bool:
    """Tell whether an object is a row with a question and an answer, and not itself the answer."""
    return find_column("answer", None, value) is not None and find_column("question", None, value) is not None


def _records(
    line: Line, images: Matcher, local: Local, options: Options, ours: Mapping[str, str]
) -> Iterator[Record | Problem]:
    def find(given: str) -> Picture:
        name = images.find(given)
        return Picture(name.removeprefix("images/"), local.picture(name).content)

    if unfit := find_unfit(line.values):
        yield Problem(_shown(line.where), unfit)
        return
    column = ours.get("image_path") or _file_column(line.values, options.file)
    if column is None:
        yield Problem(line.where, f"names no image (columns: {', '.join(line.values)}); say which does with --file")
        return
    try:
        if ours:
            yield read_own(line, ours, find)
            return
        picture = find(str(line.values[column]))
    except ValueError as error:
        yield Problem(f"{line.where}, {str(line.values[column])[:200]}", str(error))
        return
    named = {
        field: find_column(field, None, line.values) for field in SPELLINGS if field not in ("url", "answer", "id")
    }
    named["answer"] = find_column("answer", options.answer, line.values)
    if named["answer"] is None and options.answer is None and options.per_field is None:
        rest = [name for name in line.values if name != column and name not in named.values()]
        named["answer"] = rest[0] if len(rest) == 1 else None
    yield from _questions(line, picture, {**named, "file": column}, options)


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


def _shown(where: str) -> str:
    """Return a place in the file as a table can hold it."""
    return where.encode("utf-8", "backslashreplace").decode().replace("\0", "␀")


def _file_column(values: Mapping[str, Any], given: str | None) -> str | None:
    if given is not None:
        return given if given in values else None
    plain = {"".join(c for c in name.casefold() if c.isalnum()): name for name in reversed(list(values))}
    return next((plain[n] for n in (name.replace("_", "") for name in _FILE_NAMES) if n in plain), None)
