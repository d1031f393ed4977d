"""The columns that every table of questions shares: how they are spelled, and what a row says in them."""

import json
from collections.abc import Collection, Iterable

from orchestrator.datasets.table import Row, Table, label, nearest_column
from orchestrator.errors import BakeoffError

SPELLINGS = {
    "id": ("id", "sampleid"),
    "question": ("question", "questions"),
    "answer": ("answer", "answers", "answear", "expectedanswer", "reference", "groundtruth"),
    "alternatives": ("alternatives", "alternativeanswers", "otheranswers"),
    "document": ("document", "documentid", "docid"),
    "doc_class": ("docclass", "doctype", "documentclass", "documenttype"),
    "question_type": ("questiontype", "questionclass", "qtype"),
}


_MISSPELT = ("answer", "doc_class", "question_type")


def check_optional(table: Table, columns: dict[str, int]) -> None:
    """Raise BakeoffError where a column is missing that another is misspelt as: nothing is dropped silently."""
    for field in _MISSPELT:
        near = _misspelt([table.columns[p] for p in other_columns(table, columns)], field)
        if field not in columns and near is not None:
            raise BakeoffError(
                f"{table.path}: there is no column '{field}', but '{near}'; rename it, one way or the other"
            )


def nearly_one_of_ours(name: str, columns: Collection[str]) -> bool:
    """Tell whether `check_optional` would refuse a table of `columns` and one more called `name`."""
    return any(field not in columns and _misspelt([name], field) is not None for field in _MISSPELT)


def _misspelt(names: Iterable[str], field: str) -> str | None:
    return nearest_column([n for n in names if abs(len(n) - len(field)) <= 1], [field.replace("_", "")])


def own_id(table: Table, row: Row, columns: dict[str, int], seen: dict[str, int]) -> str | None:
    """Return the row's own id, if the table has such a column, and note its line in `seen`.

    Raises BakeoffError where it is empty or was seen before.
    """
    if "id" not in columns:
        return None
    identifier = row.cells[columns["id"]]
    where = f"{table.path}, line {row.line}"
    if not identifier:
        raise BakeoffError(f"{where}: the id is empty; give every row one, or remove the column")
    first = seen.setdefault(identifier, row.line)
    if first != row.line:
        raise BakeoffError(f"{where}: the id '{identifier}' was used before, on line {first}; ids are unique")
    return identifier


def references(row: Row, columns: dict[str, int]) -> tuple[str, ...]:
    """Return the answer, an empty one too, and after it the alternatives; none where there is no column of answers.

    Raises ValueError for alternatives that are not a JSON list of texts.
    """
    if "answer" not in columns:
        return ()
    cell = row.cells[columns["alternatives"]].strip() if "alternatives" in columns else ""
    return (row.cells[columns["answer"]], *_texts(cell)) if cell else (row.cells[columns["answer"]],)


def _texts(cell: str) -> list[str]:
    try:
        texts = json.loads(cell)
    except ValueError:
        texts = None
    if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise ValueError(f'alternatives {cell} should be a JSON list of other right answers, as ["10.29 EUR"]')
    return texts


def optional(row: Row, columns: dict[str, int], field: str) -> str | None:
    """Return the cell of `field`; None where the column is missing or the cell is empty."""
    return (row.cells[columns[field]] or None) if field in columns else None


def other_columns(table: Table, columns: dict[str, int]) -> tuple[int, ...]:
    """Return the places of all other columns, which are a sample's metadata."""
    return tuple(p for p in range(len(table.columns)) if p not in columns.values())


def rest(table: Table, row: Row, others: tuple[int, ...]) -> dict[str, str]:
    """Return the cells of the columns `others`, by their names; unnamed empty ones are left out."""
    return {label(table.columns, p): row.cells[p] for p in others if row.cells[p] or table.columns[p]}
