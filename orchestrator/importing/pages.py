"""PDFs and multi-page TIFFs, one file or a folder of them: pages as images, one a question or all in one request.

\b
Examples:
  bakeoff dataset import pages contract.pdf contract --dpi 150
  bakeoff dataset import pages letters/ letters --per document --truth truth.csv
\b
A page is rendered at --dpi, a TIFF's page is kept as it is. The truth is a csv, json or jsonl with the file's name, its
page where it is of one (from 1), and question and answer; or a .txt file beside the document.
"""

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageSequence
from pydantic import Field

from orchestrator.errors import UsageError
from orchestrator.image_headers import DamagedError, read_sizes
from orchestrator.images import MAX_PIXELS
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.importing.url_rows import Line, find_column, find_unfit, read_lines, written
from orchestrator.parsing import Frozen

SUFFIXES = {".pdf", ".tif", ".tiff"}
PAGES_MAX = 500
_POINTS = 72
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
    files = [given] if given.is_file() else sorted(p for p in given.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files or files[0].suffix.lower() not in SUFFIXES:
        raise UsageError(f"{source.given}: is no PDF or TIFF, nor a folder with any")
    folder = given if given.is_dir() else given.parent
    truth, problems = _read_truth(Path(options.truth).expanduser()) if options.truth else ({}, [])
    yield from problems
    for number, path in enumerate(files, start=1):
        name = path.relative_to(folder).as_posix()
        if len(files) > 1 and number % 20 == 0:
            notify(f"{number} of {len(files)} documents")
        lines = truth.pop(name, None) or truth.pop(path.name, None) or truth.pop(path.stem, [])
        yield from _document(path, name, lines, options)
    for name, lines in truth.items():
        yield Problem(f"{lines[0].where}, {name}", "there is no such document")


def _document(path: Path, name: str, lines: list[Line], options: Options) -> Iterator[Record | Problem]:
    """Yield the questions about one document; a Problem for a page or a row that cannot be used."""
    pictures: dict[int, Picture] = {}
    try:
        for number, made in enumerate(_pages(path, options), start=1):
            if isinstance(made, str):
                yield Problem(f"{name}, page {number}", made)
            else:
                pictures[number] = Picture(f"{Path(name).stem}-p{number:03}.png", made)
                if options.per == "page" and not lines:
                    yield from _questions(name, number, (pictures.pop(number),), [], path, options)
    except ValueError as error:
        yield Problem(name, str(error))
        return
    if options.per == "document":
        if pictures:
            yield from _questions(name, None, tuple(pictures.values()), lines, path, options)
        return
    for line in lines:
        page = _page_of(line)
        if page not in pictures:
            yield Problem(f"{line.where}, {name}", f"there is no page {page}" if page else "says no page (1, 2, …)")
        else:
            yield from _questions(name, page, (pictures[page],), [line], path, options)


def _questions(
    name: str, page: int | None, images: tuple[Picture, ...], lines: list[Line], path: Path, options: Options
) -> Iterator[Record | Problem]:
    if not lines:
        beside = path.with_suffix(".txt") if page is None else path.with_name(f"{path.stem}-p{page:03}.txt")
        answer = None
        if beside.is_file():
            answer = beside.read_text(encoding="utf-8-sig", errors="replace").removesuffix("\n")
        yield Record(options.question, answer, images, document=name, metadata=_place(page))
    for line in lines:
        if unfit := find_unfit(line.values):
            yield Problem(line.where, unfit)
            continue
        fields = ("question", "answer", "doc_class", "question_type")
        named = {field: find_column(field, None, line.values) for field in fields}
        text = {field: written(line.values[column]) if column else None for field, column in named.items()}
        yield Record(
            text["question"] or options.question,
            text["answer"],
            images,
            doc_class=text["doc_class"] or None,
            question_type=text["question_type"] or None,
            document=name,
            metadata=_place(page),
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
    value = next((line.values[name] for name in line.values if name.casefold() in ("page", "page_number")), 1)
    try:
        return int(float(value))
    except (TypeError, ValueError):
        return None


def _pages(path: Path, options: Options) -> Iterator[bytes | str]:
    """Yield each page as PNG, or why there is none; raise ValueError, a sentence, for a file that is broken."""
    if path.suffix.lower() == ".pdf":
        yield from _render(path, options)
    else:
        yield from _frames(path, options.pages_max)


def _render(path: Path, options: Options) -> Iterator[bytes | str]:
    import pypdfium2 as pdfium  # noqa: PLC0415 - only for PDFs

    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        reason = "is locked with a password; take it off first" if "assword" in str(error) else "is not a readable PDF"
        raise ValueError(reason) from None
    with _closing(document):
        if len(document) > options.pages_max:
            raise ValueError(f"has {len(document)} pages, more than --pages-max {options.pages_max}")
        for number in range(len(document)):
            try:
                page = document[number]
                width, height = (round(points * options.dpi / _POINTS) for points in page.get_size())
                if width * height > MAX_PIXELS:
                    yield f"would be {width} x {height} pixels at {options.dpi} dpi; choose a lower --dpi"
                    continue
                yield _png(page.render(scale=options.dpi / _POINTS).to_pil(), options.dpi)
            except pdfium.PdfiumError:
                yield "cannot be rendered"


@contextmanager
def _closing(document: Any) -> Iterator[None]:
    try:
        yield
    finally:
        document.close()


def _frames(path: Path, pages_max: int) -> Iterator[bytes | str]:
    try:
        sizes = list(read_sizes("TIFF", path.read_bytes()))
    except (DamagedError, KeyError) as error:
        raise ValueError(f"is not a readable TIFF: {error}") from None
    if len(sizes) > pages_max:
        raise ValueError(f"has {len(sizes)} pages, more than --pages-max {pages_max}")
    if any(width * height > MAX_PIXELS for width, height in sizes):
        raise ValueError(f"has a page of more than {MAX_PIXELS // 10**6} megapixels")
    try:
        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                yield _png(frame, None)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"is not a readable TIFF: {error}") from None


def _png(image: Image.Image, dpi: int | None) -> bytes:
    fit = image if image.mode in {"1", "L", "RGB", "I;16", "RGBA"} else image.convert("RGB")
    file = io.BytesIO()
    fit.save(file, "PNG", compress_level=3, **({"dpi": (dpi, dpi)} if dpi else {}))
    return file.getvalue()
