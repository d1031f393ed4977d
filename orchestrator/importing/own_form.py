"""A truth that is a table of our own form already: its columns keep the meaning that they have in a dataset."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from orchestrator.datasets.annotation import SPELLINGS, read_box, split_paths
from orchestrator.datasets.table import SUFFIXES, label, open_table, place
from orchestrator.importing.record import Picture, Record
from orchestrator.importing.url_rows import Line, read_alternatives

_NEEDED = ("image_path", "question")


def find_own_columns(truth: Path) -> dict[str, str]:
    """Return the column of `truth` for each of our fields; none where it is no table of images and questions."""
    if truth.suffix.lower() not in SUFFIXES or not truth.is_file():
        return {}
    columns = open_table(truth).columns
    found = place(columns, SPELLINGS)
    return {field: label(columns, at) for field, at in found.items()} if all(f in found for f in _NEEDED) else {}


def own_images(line: Line, columns: Mapping[str, str]) -> Iterator[str]:
    """Yield what a row calls its images; raise ValueError for what only looks like a list of them."""
    yield from split_paths(str(line.values[columns["image_path"]]).strip())


def read_own(line: Line, columns: Mapping[str, str], picture: Callable[[str], Picture]) -> Record:
    """Return what a row asks; raise ValueError, a sentence, for an image, box or alternatives that cannot be."""

    def text(field: str) -> str | None:
        return str(line.values[columns[field]]) or None if field in columns else None

    alternatives = read_alternatives(text("alternatives"))
    if alternatives is None:
        raise ValueError(f"alternatives {text('alternatives')} should be a JSON list of other right answers")
    return Record(
        text("question") or "",
        (text("answer") or "") if "answer" in columns else None,
        images=tuple(picture(name) for name in own_images(line, columns)),
        alternatives=alternatives,
        id=(text("id") or "") if "id" in columns else None,
        doc_class=text("doc_class"),
        question_type=text("question_type"),
        answer_bbox=read_box(text("answer_bbox") or ""),
        document=text("document"),
        metadata={name: value for name, value in line.values.items() if name not in columns.values()},
    )
