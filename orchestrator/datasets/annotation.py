"""Datasets of images: a folder whose `annotation.csv` has a question about an image on every row."""

import functools
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator.datasets.columns import SPELLINGS as SHARED_SPELLINGS
from orchestrator.datasets.columns import check_optional, optional, other_columns, own_id, references, rest
from orchestrator.datasets.sample import Box, Sample
from orchestrator.datasets.table import Table, find_table, missing_column, nearest_column, open_table, place
from orchestrator.errors import BakeoffError

FILE_NAME = "annotation.csv"
SPELLINGS = {
    **SHARED_SPELLINGS,
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
_BETWEEN = re.compile(r"\s*[,;]\s*|\s+")
_HALVES = re.compile("[\ud800-\udfff]")
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
            raise _add_remedy(missing_column(table, field, SPELLINGS[field]), table, columns)
    folder = os.path.abspath(source.parent)  # noqa: PTH100 - links in the path are the user's names
    check_optional(table, columns)
    others = other_columns(table, columns)
    seen: dict[str, int] = {}
    counts: Counter[str] = Counter()
    for number, row in enumerate(table.rows(), start=1):
        try:
            images, stem = _images(row.cells[columns["image_path"]], folder)
            box = read_box(row.cells[columns["answer_bbox"]]) if "answer_bbox" in columns else None
            right = references(row, columns)
        except ValueError as error:
            raise BakeoffError(f"{table.path}, line {row.line}: {error}") from error
        yield Sample(
            id=own_id(table, row, columns, seen) or _counted(stem, counts, number),
            question=row.cells[columns["question"]],
            images=images,
            references=right,
            doc_class=optional(row, columns, "doc_class"),
            question_type=optional(row, columns, "question_type"),
            answer_bbox=box,
            document=optional(row, columns, "document"),
            metadata=rest(table, row, others),
        )


def _add_remedy(error: BakeoffError, table: Table, columns: Mapping[str, int]) -> BakeoffError:
    """Return `error` with what to do where the table names no images since there are none."""
    if "question" not in columns or nearest_column(table.columns, SPELLINGS["image_path"]) is not None:
        return error
    return BakeoffError(f"{error}; questions without images are a .csv file of any other name, not {FILE_NAME}")


def _names_images(columns: tuple[str, ...]) -> bool:
    if "image_path" in place(columns, SPELLINGS):
        return True
    return nearest_column(columns, SPELLINGS["image_path"]) is not None


# The rows of an image mostly follow each other.
@functools.lru_cache(maxsize=256)
def _images(cell: str, folder: str) -> tuple[tuple[Path, ...], str | None]:
    """Return the absolute paths of the images in `cell`, and what a row is called after the first."""
    names = split_paths(cell.strip())
    if not all(names):
        raise ValueError("image_path is empty; write the image's path, or [] for a question without one")
    if any(map(_HALVES.search, names)):
        raise ValueError(f"image_path {cell} holds half a character (\\ud800 to \\udfff); no file is called so")
    names = [name.replace("\\", "/") for name in names]
    joined = (os.path.join(folder, name) for name in names)  # noqa: PTH118 - Path keeps the `..`
    return tuple(Path(os.path.normpath(name)) for name in joined), _stem(names[0]) if names else None


def split_paths(cell: str) -> list[str]:
    """Return the paths of a cell: one, or those of a JSON list; raise ValueError for what only looks like a list."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return [cell]
    try:
        names = json.loads(cell)
    except ValueError:
        names = None
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError(f'image_path {cell} should be one path, or a JSON list as ["a.png", "b.png"]')
    return names


def _stem(name: str) -> str:
    """Return `name` without suffix, without a leading folder `images`, and with nothing of this machine."""
    plain = os.path.basename(name) if name.startswith("/") else name  # noqa: PTH119 - many are asked for
    parts = [part for part in os.path.splitext(plain)[0].split("/") if part not in {"", ".", ".."}]  # noqa: PTH122
    return "/".join(parts[1:] if parts[:1] == ["images"] and len(parts) > 1 else parts)


def _counted(stem: str | None, counts: Counter[str], number: int) -> str:
    """Name a row; what follows the last `-` counts the rows of that stem, so no two names are the same."""
    if stem is None:
        return f"row-{number:06}"
    counts[stem] += 1
    return f"{stem}-{counts[stem]}"


def read_box(cell: str) -> Box | None:
    """Read `[x1, y1, x2, y2]` out of whatever quotes it stands in; None for an empty cell, ValueError for no box."""
    plain = cell.strip(_AROUND_BOX)
    if plain.lower() in _NO_BOX:
        return None
    try:
        numbers = [float(part) for part in _BETWEEN.split(plain)]
    except ValueError:
        numbers = []
    if len(numbers) != _CORNERS or not all(map(math.isfinite, numbers)):
        raise ValueError(f"answer_bbox {cell} should be four numbers, as [x1, y1, x2, y2]")
    x1, y1, x2, y2 = numbers
    if x1 > x2 or y1 > y2:
        raise ValueError(f"answer_bbox {cell} should have x1 <= x2 and y1 <= y2; is it x, y, width, height?")
    return x1, y1, x2, y2
