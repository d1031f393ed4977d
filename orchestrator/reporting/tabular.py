"""A table as data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of strings below a header; the first `labels` columns name a row, the others are figures."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int
    notes: tuple[str, ...] = ()
