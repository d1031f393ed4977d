"""Write a dataset's table anew with some rows or some cells changed, and everything else as it was."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.datasets import Dataset, annotation
from orchestrator.datasets.table import Table, find_table, open_table
from orchestrator.errors import UsageError
from orchestrator.files import replacing
from orchestrator.importing.writer import LINE_END


def table_of(dataset: Dataset) -> Table:
    """Return the table that `dataset` is read from."""
    preferred = annotation.FILE_NAME if dataset.kind == "annotation" else None
    path = find_table(dataset.path, preferred)
    if path is None:
        raise UsageError(f"{dataset.path}: holds no table")
    return open_table(path)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ",") -> int:
    """Replace `path` by a table in UTF-8; return the number of rows."""
    count = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=LINE_END)
        writer.writerow(columns)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count
