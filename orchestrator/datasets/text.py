"""Datasets of questions without images: a csv file of any name with the columns question and answer."""

from collections.abc import Iterator
from pathlib import Path

from orchestrator.datasets.columns import SPELLINGS, check_optional, optional, other_columns, own_id, references, rest
from orchestrator.datasets.sample import Sample
from orchestrator.datasets.table import find_table, missing_column, open_table, place
from orchestrator.errors import BakeoffError


def matches(path: Path) -> bool:
    """Tell whether `path` is a csv file, or a folder with exactly one."""
    return find_table(path) is not None


def load(path: Path) -> Iterator[Sample]:
    """Yield a sample per row, in order; raise BakeoffError naming file and line for a defect."""
    source = find_table(path)
    if source is None:
        raise BakeoffError(f"{path}: should hold exactly one csv file")
    table = open_table(source)
    columns = place(table.columns, SPELLINGS)
    if "question" not in columns:
        raise missing_column(table, "question", SPELLINGS["question"])
    check_optional(table, columns)
    others = other_columns(table, columns)
    seen: dict[str, int] = {}
    for number, row in enumerate(table.rows(), start=1):
        try:
            right = references(row, columns)
        except ValueError as error:
            raise BakeoffError(f"{table.path}, line {row.line}: {error}") from error
        yield Sample(
            id=own_id(table, row, columns, seen) or f"row-{number:06}",
            question=row.cells[columns["question"]],
            references=right,
            doc_class=optional(row, columns, "doc_class"),
            question_type=optional(row, columns, "question_type"),
            document=optional(row, columns, "document"),
            metadata=rest(table, row, others),
        )
