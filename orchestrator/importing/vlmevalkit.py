"""A benchmark file of VLMEvalKit: a TSV whose images are base64 texts, lists of them, or the index of another row.

\b
Example:
  bakeoff dataset import vlmevalkit DocVQA_VAL.tsv docvqa
\b
Every cell stays the text that it is. The file is read row by row; choices (columns A, B, C …) and the hint are put
with the question as VLMEvalKit does.
"""

import base64
import binascii
import csv
import string
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import Field

from orchestrator.datasets.literals import read_texts
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.image_headers import find_format
from orchestrator.importing.local import Local
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.parsing import Frozen

REFERENCE_CHARS = 64  # an image cell that is not longer is the index of another row
_USED = {"index", "image", "image_path", "question", "answer", "category", "l2-category"}


class Options(Frozen):
    """What is not in the file."""

    images: str | None = Field(None, description="The folder that image_path is relative to. [default: the file's]")
    choices: bool = Field(default=True, description="Put the choices with the question (false: keep them as columns).")


def read(source: Source, options: Options, notify: Notify) -> Iterator[Record | Problem]:  # noqa: ARG001 - a kind's signature
    """Yield a question per row, in order."""
    path = Path(source.given).expanduser()
    if not path.is_file():
        raise UsageError(f"{source.given}: there is no such file; give a .tsv of VLMEvalKit")
    folder = Path(options.images).expanduser() if options.images else path.parent
    local = Local(source, folder)
    wanted = {cell for _, row in _rows(path) if (cell := _reference(row)) is not None}
    with TemporaryDirectory(prefix="bakeoff-") as shared:
        kept = _keep(path, wanted, Path(shared))
        for line, row in _rows(path):
            where = f"row {row.get('index') or line}"
            try:
                images = tuple(_images(row, kept, local))
            except ValueError as error:
                yield Problem(where, str(error))
                continue
            yield _record(row, images, options)


def _record(row: Mapping[str, str], images: tuple[Picture, ...], options: Options) -> Record:
    letters = _letters(row)
    used = _USED | {"hint", *letters} if options.choices else _USED
    answer, *others = read_answers(row["answer"]) if "answer" in row else [None]
    return Record(
        question=_question(row, letters) if options.choices else row.get("question", ""),
        answer=answer,
        alternatives=tuple(str(other) for other in others),
        images=images,
        id=row.get("index") or None,
        doc_class=row.get("l2-category") or None,
        question_type=row.get("category") or None,
        metadata={name: value for name, value in row.items() if name not in used},
    )


def read_answers(cell: str) -> list[str]:
    """Return the accepted answers of a cell: the texts of a list literal, else the cell as it stands."""
    return read_texts(cell) or [cell]


def _letters(row: Mapping[str, str]) -> list[str]:
    return [letter for letter in string.ascii_uppercase if row.get(letter)]


def _question(row: Mapping[str, str], letters: list[str]) -> str:
    """Return hint, question and choices in VLMEvalKit's order (ImageMCQDataset.build_prompt)."""
    question = row.get("question", "")
    hint = f"Hint: {row['hint']}\n" if row.get("hint") else ""
    if not letters:
        return f"{hint}Question: {question}" if hint else question
    choices = "".join(f"{letter}. {row[letter]}\n" for letter in letters)
    ask = "Please select the correct answer from the options above."
    return f"{hint}Question: {question}\nOptions:\n{choices}{ask}"


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", strict=True)
            names = reader.fieldnames or ()
            if not {"image", "image_path"} & set(names) or not {"question", "answer"} & set(names):
                raise BakeoffError(f"{path}: is no benchmark of VLMEvalKit; it has the columns {', '.join(names)}")
            for row in reader:
                if None in row or None in row.values():
                    more = "more" if None in row else "fewer"
                    raise BakeoffError(f"{path}, line {reader.line_num}: has {more} cells than the header")
                yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise BakeoffError(f"{path}: is not UTF-8 text") from error
    except csv.Error as error:
        raise BakeoffError(f"{path}: is not a TSV with CSV's quoting: {error}") from error
    except OSError as error:
        raise BakeoffError(f"{path}: cannot be read: {error.strerror or error}") from error


def _reference(row: Mapping[str, str]) -> str | None:
    cell = row.get("image", "").strip()
    return cell if 0 < len(cell) <= REFERENCE_CHARS and not cell.startswith("[") else None


def _keep(path: Path, wanted: set[str], folder: Path) -> dict[str, list[Path] | str]:
    """Write the images of the rows that others refer to into `folder`, so that memory holds one at a time.

    A text is why a row's images cannot be had.
    """
    kept: dict[str, list[Path] | str] = {}
    if not wanted:
        return kept
    for line, row in _rows(path):
        index = row.get("index", "")
        if index not in wanted:
            continue
        if index in kept:
            kept[index] = f"the index {index} is that of several rows, the last on line {line}"
        else:
            kept[index] = _keep_images(row, folder / str(line))
    return kept


def _keep_images(row: Mapping[str, str], stem: Path) -> list[Path] | str:
    index = row["index"]
    if _reference(row) is not None or not row.get("image", "").strip():
        return f"its image is that of row {index}, which has none"
    files = []
    for number, text in enumerate(_split(row["image"])):
        try:
            data = _decode(text)
        except ValueError as error:
            return f"its image is that of row {index}, which says of itself: {error}"
        files.append(stem.with_name(f"{stem.name}-{number}"))
        files[-1].write_bytes(data)
    return files


def _images(row: Mapping[str, str], kept: Mapping[str, list[Path] | str], local: Local) -> Iterator[Picture]:
    """Yield the row's images; raise ValueError, a sentence, for one that cannot be had."""
    cell = row.get("image", "").strip()
    index = _plain_name(row.get("index") or "row")
    if not cell:
        for name in read_answers(row.get("image_path", "")):
            if name:
                yield local.picture(name.replace("\\", "/"))
        return
    if (other := _reference(row)) is not None:
        files = kept.get(other) or f"its image is that of row {other}, which has none"
        if isinstance(files, str):
            raise ValueError(files)
        for path in files:
            data = path.read_bytes()
            yield Picture(f"{_plain_name(other)}{_suffix(data)}", data)
        return
    for text in _split(cell):
        data = _decode(text)
        yield Picture(f"{index}{_suffix(data)}", data)


def _split(cell: str) -> list[str]:
    """Return the base64 texts of a cell, which hold neither quotes nor commas."""
    if not cell.startswith("["):
        return [cell]
    return [part.strip().strip("'\"") for part in cell.strip("[] \n").split(",") if part.strip().strip("'\"")]


def _decode(text: str) -> bytes:
    plain = text.partition("base64,")[2] if text.startswith("data:") else text
    try:
        data = base64.b64decode("".join(plain.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("its image is not base64") from None
    if find_format(data[:32]) is None:
        raise ValueError("its image is of no known format")
    return data


def _suffix(data: bytes) -> str:
    return f".{(find_format(data[:32]) or 'bin').lower()}"


def _plain_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:60]
