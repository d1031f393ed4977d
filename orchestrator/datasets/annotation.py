"""Datasets of images: a folder whose `annotation.csv` has a question about an image on every row."""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from orchestrator.datasets import columns as shared
from orchestrator.datasets.sample import Box, Sample
from orchestrator.datasets.table import find_table, missing_column, nearest_column, open_table, place
from orchestrator.errors import BakeoffError

FILE_NAME = "annotation.csv"
SPELLINGS = {
    **shared.SPELLINGS,
    "image_path": (
        "imagepath",
        "imagepaths",
        "image",
        "images",
        "imgpath",
        "img",
        "imagefile",
        "imagename",
        "filename",
    ),
    "answer_bbox": ("answerbbox", "answearbbox", "answerbox", "answerboundingbox", "bbox", "boundingbox"),
}
_NO_BOX = {"", "none", "null", "nan"}
_AROUND_BOX = " \t\r\n“”„‟«»‘’\"'[]()"  # noqa: RUF001 - the quotes that word processors put
_CORNERS = 4


def matches(path: Path) -> bool:
    """Tell whether `path` is or holds `annotation.csv`, or one csv file that names images, even misspelt."""
    source = find_table(path, FILE_NAME)
    if source is None:
        return False
    return source.name.lower() == FILE_NAME or _names_images(open_table(source).columns)


def load(path: Path) -> Iterator[Sample]:
    """Yield a sample per row, in order; raise BakeoffError naming file and line for a defect.

    Image paths are relative to the csv file; a cell may hold several as a JSON list, or `[]` for none. A row
    without an id of its own is called by its first image and its number among the rows of that image.
    """
    source = find_table(path, FILE_NAME)
    if source is None:
        raise BakeoffError(f"{path}: should hold {FILE_NAME}")
    table = open_table(source)
    columns = place(table.columns, SPELLINGS)
    for field in ("image_path", "question"):
        if field not in columns:
            raise missing_column(table, field, SPELLINGS[field])
    folder = os.path.abspath(source.parent)  # noqa: PTH100 - links in the path are the user's names
    seen: dict[str, int] = {}
    counts: Counter[str] = Counter()
    for number, row in enumerate(table.rows(), start=1):
        where = f"{table.path}, line {row.line}"
        names = _image_names(row.cells[columns["image_path"]], where)
        yield Sample(
            id=shared.own_id(table, row, columns, seen) or _id_of(names, counts, number),
            question=row.cells[columns["question"]],
            images=tuple(_absolute(folder, name) for name in names),
            references=shared.references(row, columns),
            doc_class=shared.optional(row, columns, "doc_class"),
            question_type=shared.optional(row, columns, "question_type"),
            answer_bbox=_box(row.cells[columns["answer_bbox"]], where) if "answer_bbox" in columns else None,
            metadata=shared.rest(table, row, columns),
        )


def _absolute(folder: str, name: str) -> Path:
    return Path(os.path.normpath(os.path.join(folder, name)))  # noqa: PTH118 - Path keeps the `..`


def _names_images(columns: tuple[str, ...]) -> bool:
    if "image_path" in place(columns, SPELLINGS):
        return True
    return nearest_column(columns, SPELLINGS["image_path"]) is not None


def _image_names(cell: str, where: str) -> list[str]:
    cell = cell.strip()
    names = _json_list(cell, where) if cell.startswith("[") and cell.endswith("]") else [cell]
    if not all(names):
        raise BakeoffError(
            f"{where}: image_path is empty; write the image's path, or [] for a question without one"
        )
    return [name.replace("\\", "/") for name in names]


def _json_list(cell: str, where: str) -> list[str]:
    try:
        names = json.loads(cell)
    except ValueError:
        names = None
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise BakeoffError(
            f'{where}: image_path {cell} should be one path, or a JSON list as ["a.png", "b.png"]'
        )
    return names


def _id_of(names: list[str], counts: Counter[str], number: int) -> str:
    """Name a row by its first image: no folder `images/`, no suffix, nothing of this machine.

    The number after the last `-` counts the rows of that name, so no two ids are the same.
    """
    if not names:
        return f"row-{number:06}"
    path = PurePosixPath(names[0])
    parts = (
        [path.stem]
        if path.is_absolute()
        else [p for p in (*path.parts[:-1], path.stem) if p not in {"..", "."}]
    )
    stem = "/".join(parts[1:] if parts[0] == "images" and len(parts) > 1 else parts)
    counts[stem] += 1
    return f"{stem}-{counts[stem]}"


def _box(cell: str, where: str) -> Box | None:
    """Read `[x1, y1, x2, y2]` out of whatever quotes it stands in; None for an empty cell."""
    plain = cell.strip(_AROUND_BOX)
    if plain.lower() in _NO_BOX:
        return None
    try:
        numbers = [float(part) for part in re.split(r"\s*[,;]\s*|\s+", plain)]
    except ValueError:
        numbers = []
    if len(numbers) != _CORNERS or not all(map(math.isfinite, numbers)):
        raise BakeoffError(f"{where}: answer_bbox {cell} should be four numbers, as [x1, y1, x2, y2]")
    x1, y1, x2, y2 = numbers
    if x1 > x2 or y1 > y2:
        raise BakeoffError(
            f"{where}: answer_bbox {cell} should have x1 <= x2 and y1 <= y2; is it x, y, width, height?"
        )
    return x1, y1, x2, y2
