"""PDFs and multi-page TIFFs, one file or a folder of them: pages as images, one a question or all in one request.

\b
Examples:
  bakeoff dataset import pages contract.pdf contract --dpi 150
  bakeoff dataset import pages letters/ letters --per document --truth truth.csv
\b
A page is rendered at --dpi, a TIFF's page is kept as it is. The truth is a csv, json or jsonl with the file's name, its
page where it is of one (from 1), and question and answer; or a .txt file beside the document.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from orchestrator.errors import UsageError
from orchestrator.importing.local import Local
from orchestrator.importing.matching import Matcher
from orchestrator.importing.page_images import render_pages
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.importing.url_rows import Line, find_column, find_unfit, read_alternatives, read_lines, written
from orchestrator.parsing import Frozen

SUFFIXES = {".pdf", ".tif", ".tiff"}
PAGES_MAX = 500
_FIELDS = ("question", "answer", "doc_class", "question_type", "id")
_FILES = ("file", "file_name", "filename", "document", "path", "image", "pdf", "id")


class Options(Frozen):
    """How pages are made, and what is asked."""

    dpi: int = Field(150, ge=20, le=1200, description="Dots per inch that a PDF's pages are rendered at.")
    per: Literal["page", "document"] = Field("page", description="page: one image a question; document: all pages.")
    question: str = Field("Transcribe all the text.", description="What is asked where the truth has no question.")
    truth: str | None = Field(None, description="A csv, json or jsonl file with file, page, question, answer.")
    pages_max: int = Field(PAGES_MAX, ge=1, description="A document with more pages is a problem, and left out.")


def read(source: Source, options: Options, notify: Notify) -> Iterator[Record | Problem]:
    """Yield questions document by document, in the order of paths."""
    given = Path(source.given).expanduser()
    if not given.exists():
        raise UsageError(f"{source.given}: there is no such file or folder")
    files = [given] if given.is_file() else sorted(p for p in given.rglob("*") if _is_document(p))
    if not files or files[0].suffix.lower() not in SUFFIXES:
        raise UsageError(f"{source.given}: is no PDF or TIFF, nor a folder with any")
    folder = given if given.is_dir() else given.parent
    truth, problems = _read_truth(Path(options.truth).expanduser()) if options.truth else ({}, [])
    yield from problems
    local = Local(source, folder)
    by_name, lost = _share(truth, [path.relative_to(folder).as_posix() for path in files])
    for number, path in enumerate(files, start=1):
        name = path.relative_to(folder).as_posix()
        if len(files) > 1 and number % 20 == 0:
            notify(f"{number} of {len(files)} documents")
        try:
            local.find(path.absolute())
        except ValueError as error:
            yield Problem(name, str(error))
            continue
        yield from _document(_Job(path, name, by_name.get(name, []), local, options), notify)
    yield from lost


class _Job(NamedTuple):
    """A document, its name, the rows of the truth that name it, and how it is read."""

    path: Path
    name: str
    lines: list[Line]
    local: Local
    options: Options


def _is_document(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _share(truth: Mapping[str, list[Line]], names: list[str]) -> tuple[dict[str, list[Line]], list[Problem]]:
    """Return the rows by the document that they mean, and those that mean none."""
    documents = Matcher(names, "document", truth)
    found: dict[str, list[Line]] = {}
    lost: list[Problem] = []
    for given, lines in truth.items():
        try:
            found.setdefault(documents.find(given), []).extend(lines)
        except ValueError as error:
            lost.extend(Problem(f"{line.where}, {given[:200]}", str(error)) for line in lines)
    return found, lost


def _document(job: _Job, notify: Notify) -> Iterator[Record | Problem]:
    """Yield the questions about one document; a Problem for a page or a row that cannot be used."""
    name, options = job.name, job.options
    pictures: dict[int, Picture] = {}
    lacking = False
    try:
        for number, made in enumerate(render_pages(job.path, options.dpi, options.pages_max), start=1):
            if isinstance(made, str):
                lacking = True
                yield Problem(f"{name}, page {number}", made)
            else:
                pictures[number] = Picture(f"{Path(name).stem}-p{number:03}.png", made)
                if options.per == "page" and not job.lines:
                    yield from _questions(job, number, (pictures.pop(number),), [])
    except (ValueError, OSError) as error:
        yield Problem(name, f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error))
        return
    if options.per == "document":
        if lacking:
            yield Problem(name, "is left out, for not all of its pages can be shown")
        elif pictures:
            yield from _questions(job, None, tuple(pictures.values()), job.lines)
    elif job.lines:
        yield from _by_page(job, pictures, notify)


def _by_page(job: _Job, pictures: Mapping[int, Picture], notify: Notify) -> Iterator[Record | Problem]:
    """Yield the questions of the rows, each about its page."""
    name, lines = job.name, job.lines
    asked = {_page_of(line) for line in lines}
    if unnamed := [number for number in pictures if number not in asked]:
        notify(f"{name}: {len(unnamed)} of its pages are named by no row of the truth, as page {unnamed[0]}")
    for line in lines:
        page = _page_of(line)
        if page is None or page not in pictures:
            yield Problem(f"{line.where}, {name}", f"there is no page {page}" if page else "says no page (1, 2, …)")
        else:
            yield from _questions(job, page, (pictures[page],), [line])


def _questions(
    job: _Job, page: int | None, images: tuple[Picture, ...], lines: list[Line]
) -> Iterator[Record | Problem]:
    path, name, _, local, options = job
    if not lines:
        beside = path.with_suffix(".txt") if page is None else path.with_name(f"{path.stem}-p{page:03}.txt")
        answer = None
        if beside.is_file():
            try:
                answer = local.read_text(beside.absolute())
            except ValueError as error:
                yield Problem(name, str(error))
                return
        yield Record(options.question, answer, images, document=name, metadata=_place(page))
    for line in lines:
        if unfit := find_unfit(line.values):
            yield Problem(line.where, unfit)
            continue
        yield _record(job, page, images, line.values)


def _record(job: _Job, page: int | None, images: tuple[Picture, ...], row: Mapping[str, Any]) -> Record:
    """Return the question of a row; what no field of ours is becomes metadata."""
    left = {_file_column(row), _page_column(row) if page is not None else None}
    rest = {name: value for name, value in row.items() if name not in left}
    named = {field: find_column(field, None, rest) for field in _FIELDS}
    text = {field: written(rest[column]) if column else None for field, column in named.items()}
    others = read_alternatives(rest.get("alternatives"))
    used = {*named.values(), *(("alternatives",) if others is not None else ())}
    return Record(
        text["question"] or job.options.question,
        text["answer"],
        images,
        alternatives=others or (),
        id=text["id"] or None,
        doc_class=text["doc_class"] or None,
        question_type=text["question_type"] or None,
        document=job.name,
        metadata=_place(page) | {name: value for name, value in rest.items() if name not in used},
    )


def _place(page: int | None) -> dict[str, Any]:
    return {} if page is None else {"page": page}


def _read_truth(path: Path) -> tuple[dict[str, list[Line]], list[Problem]]:
    """Return the rows by the document they name, and those that are none."""
    rows: dict[str, list[Line]] = defaultdict(list)
    problems: list[Problem] = []
    for line in read_lines(path):
        if isinstance(line, Problem):
            problems.append(line)
            continue
        column = _file_column(line.values)
        if column is None:
            problems.append(Problem(line.where, f"names no file (columns: {', '.join(line.values)})"))
        else:
            rows[str(line.values[column]).replace("\\", "/").removeprefix("./")].append(line)
    return dict(rows), problems


def _file_column(values: Mapping[str, Any]) -> str | None:
    plain = {name.casefold().replace(" ", "_"): name for name in reversed(list(values))}
    return next((plain[name] for name in _FILES if name in plain), None)


def _page_of(line: Line) -> int | None:
    column = _page_column(line.values)
    try:
        number = float(line.values[column]) if column else 1
        return int(number) if number == int(number) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _page_column(values: Mapping[str, Any]) -> str | None:
    return next((name for name in values if name.casefold() in ("page", "page_number")), None)
