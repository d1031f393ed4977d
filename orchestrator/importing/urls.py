"""A list of images by URL: a JSON, JSONL or CSV file whose rows have url, id and answer. The images are downloaded.

\b
Example:
  bakeoff dataset import urls scans.jsonl scans

An answer is a text, a list of tags or an object of fields. A second import downloads only what is missing. Private
addresses are refused unless --allow-host names them.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from pydantic import Field

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.importing.gather import Gatherer
from orchestrator.importing.guard import bare, make_guard
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.importing.url_cache import UrlCache
from orchestrator.importing.url_rows import SPELLINGS, Line, find_column, find_unfit, read_lines, written
from orchestrator.parsing import Frozen

_SUFFIXES = {b"\x89P": ".png", b"\xff\xd8": ".jpg", b"GI": ".gif", b"BM": ".bmp", b"RI": ".webp"}
_URLS_MAX = 64


class Options(Frozen):
    """Which columns are what, and what may be asked for."""

    url: str | None = Field(None, description="The column with the URL, or a list of them. [default: url, image_url …]")
    id: str | None = Field(None, description="The column with the unique id. [default: id, sample_id …]")
    answer: str | None = Field(None, description="The column with the ground truth. [default: answer, tags, fields …]")
    question: str | None = Field(None, description="The column with the question. [default: question]")
    ask: str | None = Field(
        None, description="What is asked where there is no column of questions. [default: by the kind of answer]"
    )
    refresh: bool = Field(default=False, description="Ask of images had already whether they changed.")
    allow_host: tuple[str, ...] = Field((), description="A host, or host:port, that may have a private address.")


class Job(NamedTuple):
    """A row that is fit to be asked about, but for its images."""

    line: Line
    id: str | None
    urls: tuple[str, ...]


class _Columns(NamedTuple):
    """What the columns of a file are called."""

    url: str
    by_field: Mapping[str, str]

    def text(self, line: Line, field: str) -> str | None:
        name = self.by_field.get(field)
        return written(line.values.get(name)) if name is not None else None


def read(source: Source, options: Any, notify: Notify) -> Iterator[Record | Problem]:
    """Yield a question per row, in the order of the file; a row whose image cannot be had is a Problem."""
    if "://" in source.given:
        raise UsageError(f"{bare(source.given)}: is a URL; download that file, and give its path")
    path = Path(source.given).expanduser()
    guard = make_guard(options.allow_host)
    columns, total = _survey(path, options)
    notify(f"{path.name}: {total} rows; images that were downloaded before are not asked for again")
    seen: dict[str, str] = {}
    jobs = (_make_job(line, columns, seen) for line in read_lines(path))
    with UrlCache(source.cache) as cache, Gatherer(cache, guard, notify, refresh=options.refresh) as gatherer:
        rows = ((job, job.urls if isinstance(job, Job) else ()) for job in jobs)
        for got in gatherer.gather(rows, total):
            if isinstance(got.row, Problem):
                yield got.row
            elif got.refused is not None:
                url, reason = got.refused
                yield Problem(f"{_what(got.row)}: {bare(url)}", reason)
            else:
                yield _make_record(got.row, got.paths, columns, options.ask)


def _survey(path: Path, options: Options) -> tuple[_Columns, int]:
    """Find the columns, in what the first rows have, and count the rows; images come later."""
    lines = read_lines(path)
    head = [line for line in itertools.islice(lines, 100) if isinstance(line, Line)]
    names: dict[str, None] = dict.fromkeys(name for line in head for name in line.values)
    if not head:
        raise BakeoffError(f"{path}: has no rows")
    chosen = {"url": options.url, "id": options.id, "answer": options.answer, "question": options.question}
    try:
        found = {field: find_column(field, chosen.get(field), names) for field in SPELLINGS}
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    url = found.pop("url")
    if url is None:
        raise UsageError(f"{path}: there is no column 'url' (there are: {', '.join(names)}); name it with --url")
    by_field = {field: name for field, name in found.items() if name is not None and name != url}
    return _Columns(url, by_field), sum(1 for _ in read_lines(path))


def _make_job(line: Line | Problem, columns: _Columns, seen: dict[str, str]) -> Job | Problem:
    if isinstance(line, Problem):
        return line
    if (reason := find_unfit(line.values)) is not None:
        return Problem(line.where, reason)
    identifier = None
    if "id" in columns.by_field:
        identifier = columns.text(line, "id") or ""
        if not identifier:
            return Problem(line.where, f"has no {columns.by_field['id']}")
        if seen.setdefault(identifier, line.where) != line.where:
            return Problem(line.where, f"the id '{identifier}' was used before, on {seen[identifier]}; ids are unique")
    urls = _read_urls(line.values.get(columns.url))
    if not urls or len(urls) > _URLS_MAX:
        return Problem(line.where, "has no URL" if not urls else f"has more than {_URLS_MAX} URLs")
    if "answer" in columns.by_field and columns.text(line, "answer") is None:
        return Problem(line.where, f"has no {columns.by_field['answer']}; an empty text says that nothing is right")
    return Job(line, identifier, urls)


def _read_urls(value: Any) -> tuple[str, ...]:
    """Return the URLs of a cell: one, a list, or a list as JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return ()
    listed: Sequence[Any] = value if isinstance(value, list) else [value]
    urls = tuple(url.strip() for url in listed if isinstance(url, str) and url.strip())
    return urls if len(urls) == len(listed) else ()


def _ask_for(answer: Any) -> str:
    """Return what an answer of this kind answers, and how it should be written."""
    if isinstance(answer, dict):
        return f"What does the document say? Answer with a JSON object with the keys {', '.join(answer)}."
    if isinstance(answer, list):
        return "Which tags fit this image? Answer with a JSON list of texts."
    return "Transcribe all the text."


def _make_record(job: Job, paths: Sequence[Path], columns: _Columns, ask: str | None) -> Record:
    """Return the question; what no field of ours is becomes metadata, URLs without what may be secret in them."""
    values = job.line.values
    taken = {columns.url, *columns.by_field.values()}
    shown = [bare(url) for url in job.urls]
    metadata = {name: value for name, value in values.items() if name not in taken}
    return Record(
        question=columns.text(job.line, "question") or ask or _ask_for(values.get(columns.by_field.get("answer", ""))),
        answer=columns.text(job.line, "answer"),
        images=tuple(Picture(picture_name(url, path), path) for url, path in zip(job.urls, paths, strict=True)),
        id=job.id,
        metadata={columns.url: shown[0] if len(shown) == 1 else shown, **metadata},
        doc_class=columns.text(job.line, "doc_class") or None,
        question_type=columns.text(job.line, "question_type") or None,
        document=columns.text(job.line, "document") or None,
    )


def picture_name(url: str, path: Path) -> str:
    """Return the last part of a URL's path, with the suffix that its bytes call for."""
    name = unquote(PurePosixPath(bare(url)).name)
    with path.open("rb") as file:
        suffix = _SUFFIXES.get(file.read(2), ".tif")
    stem = name.rpartition(".")[0] if "." in name[-6:] else name
    return f"{stem or 'image'}{suffix}"


def _what(job: Job) -> str:
    return job.id or job.line.where
