"""The leaderboards of a page: by each main metric the cells of all its runs, with their ranks."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.pages.overview import Grid, Item, figures_of, name_items, score_item, scored_item, titles
from orchestrator.pages.sources import Content
from orchestrator.pages.totals import CellKey
from orchestrator.reporting.numbers import NOTHING
from orchestrator.reporting.tabular import Table

_LABELS = 3


def make_boards(content: Content) -> list[Grid]:
    """Return a leaderboard for each main metric; none for a page of one run."""
    return [
        Grid(
            f"Leaderboard by {metric}",
            ("rank", "model", "prompt", *titles([metric], content.summary), "scored"),
            tuple(_rows(content, metric, ranks)),
            labels=_LABELS,
        )
        for metric, ranks in content.ranks.items()
    ]


def to_tables(boards: Sequence[Grid]) -> list[Table]:
    """Return leaderboards as tables of plain strings."""
    return [
        Table(
            board.title,
            board.header,
            tuple(tuple(" ".join(filter(None, (it.text, it.small, it.mark))) for it in row) for row in board.rows),
            board.labels,
        )
        for board in boards
    ]


def _rows(content: Content, metric: str, ranks: Mapping[CellKey, int | None]) -> Iterator[tuple[Item, ...]]:
    figures = figures_of(content.summary, "all")
    first = [cell for cell, rank in ranks.items() if rank == 1]
    mark = ("best" if len(first) == 1 else "among the best") if len(ranks) > 1 else ""
    for cell, rank in ranks.items():
        figure = figures.get((cell, metric))
        score = score_item(content.summary, figure, mark if rank == 1 else "")
        yield (Item(str(rank or NOTHING)), *name_items(cell), score, scored_item([figure]))
