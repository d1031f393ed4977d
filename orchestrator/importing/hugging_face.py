"""A dataset as Hugging Face keeps it: an imagefolder with metadata.csv or .jsonl, or Parquet with an image struct.

\b
Examples:
  bakeoff dataset import huggingface ./imagefolder scans
  bakeoff dataset import huggingface ./docvqa/data docvqa --split validation --answer answers
\b
SOURCE is a folder on this machine (a cloned dataset) or one Parquet file; nothing is downloaded.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.image_headers import find_format
from orchestrator.importing.local import Local
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.importing.url_rows import Line, as_json, find_column, find_unfit, parse_json, read_lines, written
from orchestrator.parsing import Frozen

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_ROWS = 64
_QUESTIONS = ("question", "query", "prompt", "instruction")
_ANSWERS = ("answer", "answers", "ground_truth", "text", "label", "output_true", "output", "transcription", "target")


class Options(Frozen):
    """Which columns are what."""

    image: tuple[str, ...] = Field((), description="A column with images. [default: all that have an image struct]")
    question: str | None = Field(None, description="The column with the question. [default: question, query …]")
    answer: str | None = Field(None, description="The column with the answer. [default: answer, answers, text …]")
    id: str | None = Field(None, description="The column with a unique id. [default: none]")
    ask: str = Field("Transcribe all the text.", description="What is asked where there is no column of questions.")
    split: str | None = Field(None, description="Only the files of this split: its name begins or holds them.")
    limit: int | None = Field(None, ge=1, description="Only so many rows.")


def read(source: Source, options: Options, notify: Notify) -> Iterator[Record | Problem]:
    """Yield a question per row, in the order of files and rows."""
    path = Path(source.given).expanduser()
    if not path.exists():
        raise UsageError(f"{source.given}: there is no such folder or file; clone or download the dataset first")
    folder = path if path.is_dir() else path.parent
    local = Local(source, folder, *_blobs(folder))
    for number, record in enumerate(_read(path, local, options, notify)):
        if options.limit is not None and number >= options.limit:
            return
        yield record


def _blobs(folder: Path) -> list[Path]:
    """Return where a download's files really are: huggingface_hub keeps links to them in `snapshots/<revision>`."""
    above = folder.absolute().parent
    return [above.parent / "blobs"] if above.name == "snapshots" else []


def _read(path: Path, local: Local, options: Options, notify: Notify) -> Iterator[Record | Problem]:
    tables = [path] if path.is_file() else [local.check(table) for table in _find_tables(path, options.split)]
    parquet = [table for table in tables if table.suffix == ".parquet" and table.name not in METADATA]
    if parquet:
        notify(f"{len(parquet)} Parquet files")
        for table in parquet:
            yield from _read_parquet(table, local, options)
        return
    found = [table for table in tables if table.name in METADATA]
    if not found:
        raise BakeoffError(f"{path}: holds neither Parquet files nor one of {', '.join(METADATA)}")
    for table in found:
        yield from _read_imagefolder(table, local, options)


def _find_tables(folder: Path, split: str | None) -> list[Path]:
    found = sorted(p for p in folder.rglob("*") if p.is_file() and (p.suffix == ".parquet" or p.name in METADATA))
    if split is None:
        return found
    of_split = [p for p in found if split in p.relative_to(folder).parts[:-1] or _is_of(p.stem, split)]
    if not of_split:
        names = ", ".join(p.relative_to(folder).as_posix() for p in found[:5])
        raise UsageError(f"{folder}: no file is of the split '{split}'; there are {names or 'none'}")
    return of_split


def _is_of(stem: str, split: str) -> bool:
    """Tell whether a file such as `validation-00000-of-00006` or `docvqa_validation` is of a split."""
    return split in stem.replace(".", "-").replace("_", "-").split("-")


def _read_imagefolder(table: Path, local: Local, options: Options) -> Iterator[Record | Problem]:
    for line in read_lines(table) if table.suffix != ".parquet" else _lines(table):
        if isinstance(line, Problem):
            yield line
            continue
        names = [name for name in line.values if name == "file_name" or name.endswith("_file_name")]
        if not names:
            raise BakeoffError(f"{table}: has no column file_name, by which an imagefolder knows its images")
        try:
            pictures = tuple(local.picture(table.absolute().parent / str(line.values[name])) for name in names)
        except ValueError as error:
            yield Problem(line.where, str(error))
            continue
        yield _record(line, pictures, names, options)


def _lines(table: Path) -> Iterator[Line]:
    for number, row in enumerate(_rows(table), start=1):
        yield Line(f"{table.name}, row {number}", row)


def _read_parquet(table: Path, local: Local, options: Options) -> Iterator[Record | Problem]:
    schema = _schema(table)
    columns = list(options.image) or [field.name for field in schema if _is_image(field.type)]
    if unknown := [name for name in columns if name not in schema.names]:
        raise UsageError(f"{table}: has no column '{unknown[0]}' (there are: {', '.join(schema.names)})")
    if not columns:
        raise BakeoffError(f"{table}: no column holds images (bytes, path); name one with --image")
    for number, row in enumerate(_rows(table), start=1):
        where = f"{table.name}, row {number}"
        try:
            pictures = [p for name in columns for p in _pictures(row[name], f"{table.stem}-{number:06}", table, local)]
        except ValueError as error:
            yield Problem(where, str(error))
            continue
        yield _record(Line(where, row), tuple(pictures), columns, options)


def _schema(table: Path) -> pa.Schema:
    try:
        return pq.read_schema(table)
    except (pa.ArrowException, OSError) as error:
        raise BakeoffError(f"{table}: is not a readable Parquet file; fetch it again ({_first_line(error)})") from error


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(table) as file:
            for batch in file.iter_batches(_ROWS):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise BakeoffError(f"{table}: is not a readable Parquet file; fetch it again ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _is_image(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_image(kind.value_type)
    return pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"}


def _pictures(cell: Any, name: str, table: Path, local: Local) -> Iterator[Picture]:
    """Yield the images of a cell; raise ValueError, a sentence, for one that is none."""
    for item in cell if isinstance(cell, list) else [cell]:
        if item is None:
            continue
        data, path = (item.get("bytes"), item.get("path")) if isinstance(item, dict) else (item, None)
        if isinstance(data, bytes):
            kind = find_format(data[:32])
            if kind is None:
                raise ValueError("its image is of no known format")
            yield Picture(Path(path).name if path else f"{name}.{kind.lower()}", data)
        elif path:
            yield local.picture(table.absolute().parent / path)
        else:
            raise ValueError("its image is not in the file, nor has it a path")


def _record(line: Line, pictures: tuple[Picture, ...], images: Sequence[str], options: Options) -> Record | Problem:
    row = {name: value for name, value in line.values.items() if not isinstance(value, bytes) and name not in images}
    if unfit := find_unfit(row):
        return Problem(line.where, unfit)
    plain = parse_json(as_json(row).encode())
    asked = _column("question", options.question, row, _QUESTIONS)
    right = _column("answer", options.answer, row, _ANSWERS)
    named = {"doc_class": find_column("doc_class", None, row), "document": find_column("document", None, row)}
    kind = find_column("question_type", None, row)
    answers = _answers(plain[right]) if right else []
    used = {asked, right, options.id, kind, *named.values()}
    return Record(
        question=written(plain[asked]) or "" if asked else options.ask,
        answer=answers[0] if answers else None,
        alternatives=tuple(answers[1:]),
        images=pictures,
        id=written(plain[options.id]) if options.id else None,
        question_type=_short(plain[kind]) if kind else None,
        metadata={name: value for name, value in plain.items() if name not in used},
        doc_class=_short(plain[named["doc_class"]]) if named["doc_class"] else None,
        document=_short(plain[named["document"]]) if named["document"] else None,
    )


def _column(what: str, chosen: str | None, row: Mapping[str, Any], usual: Sequence[str]) -> str | None:
    if chosen is not None:
        if chosen not in row:
            raise UsageError(f"there is no column '{chosen}' for the {what} (there are: {', '.join(row)})")
        return chosen
    return next((name for name in usual if name in row), None)


def _answers(value: Any) -> list[str]:
    """Return the accepted answers: every text of a list, else the value as text."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return list(dict.fromkeys(value))
    text = written(value)
    return [] if text is None else [text]


def _short(value: Any) -> str | None:
    return None if value is None else written(value)
