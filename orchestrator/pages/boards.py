"""The leaderboard of a page of several runs: the table of its cells with their ranks."""

from collections.abc import Mapping

from orchestrator.pages.overview import Grid, Item, best_first
from orchestrator.pages.sources import Content
from orchestrator.pages.totals import CellKey
from orchestrator.reporting.numbers import NOTHING
from orchestrator.reporting.tabular import Table

TITLE = "Leaderboard"


def with_ranks(content: Content, main: Grid) -> Grid:
    """Return `main`, whose rows are the cells best first, with ranks and in their order; of one run as it is."""
    if not content.ranks:
        return main
    rows = dict(zip(best_first(content.summary), main.rows, strict=True))
    metric, first = next(iter(content.ranks.items()))
    return Grid(
        TITLE,
        (f"rank by {metric}" if len(content.ranks) > 1 else "rank", *main.header),
        tuple((_rank_item(content.ranks, cell), *rows[cell]) for cell in first),
        labels=main.labels + 1,
        notes=(*content.notes, *main.notes),
    )


def to_table(board: Grid) -> Table:
    """Return a grid as a table of plain strings."""
    rows = (
        tuple("; ".join(filter(None, (it.text, *it.small.split("\n"), it.mark))) for it in row) for row in board.rows
    )
    return Table(board.title, board.header, tuple(rows), board.labels)


def _rank_item(ranks: Mapping[str, Mapping[CellKey, int | None]], cell: CellKey) -> Item:
    """Return the rank by the first metric, and below it those by others."""
    (_, first), *others = ((name, str(of_metric[cell] or NOTHING)) for name, of_metric in ranks.items())
    return Item(first, "\n".join(f"{rank} by {name}" for name, rank in others))
