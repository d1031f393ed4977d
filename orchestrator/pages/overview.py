"""The page's tables: what the template writes down, as plain texts with the little that their looks need."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.pages.amounts import spent_texts
from orchestrator.pages.short_names import short_parts
from orchestrator.pages.standing import find_standing
from orchestrator.pages.totals import CellKey, Totals
from orchestrator.reporting.numbers import NOTHING, interval_text, number_text, unit_of
from orchestrator.reporting.params import shorten
from orchestrator.scoring import Figure, Summary
from orchestrator.scoring.cell_name import params_text


@dataclass(frozen=True, slots=True)
class Item:
    """One field of a table: its text, what is said below it in small, a mark, and how bad it is from 0 to 9.

    `span` are the low end, the mean and the high end in hundredths of the widest of the column, where there are such.
    """

    text: str
    small: str = ""
    mark: str = ""
    heat: int | None = None
    span: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: `labels` columns of each row name it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Item, ...], ...]
    labels: int = 1
    notes: tuple[str, ...] = ()


def cells_of(summary: Summary) -> list[CellKey]:
    """Return the cells in the summary's order."""
    return list(dict.fromkeys((each.model, each.params, each.prompt) for each in summary.figures))


def cell_names(summary: Summary) -> dict[CellKey, str]:
    """Return short names of the cells, on one line, the best first."""
    return {cell: " / ".join(parts) for cell, parts in short_parts(best_first(summary)).items()}


def params_notes(summary: Summary) -> tuple[str, ...]:
    """Return what has to be said of parameters beside tables that have no room for them."""
    return shorten(each.params for each in summary.figures).notes


def main_grid(summary: Summary, totals: Mapping[CellKey, Totals], metrics: Sequence[str] | None = None) -> Grid:
    """Return each cell by `metrics` (default: the main ones), with how many answers were scored, and what they took.

    The best come first.
    """
    metrics = summary.compared.metrics if metrics is None else metrics
    standings = {metric: _marks(summary, metric) for metric in metrics}
    figures = figures_of(summary, "all")
    widest = {metric: _widest(summary, metric) for metric in metrics}
    rows = []
    for cell in best_first(summary):
        scores = [
            replace(
                score_item(summary, found := figures.get((cell, metric)), standings[metric].get(cell, "")),
                span=_span(found, widest[metric]),
            )
            for metric in metrics
        ]
        rows.append(
            (
                *name_items(cell),
                *scores,
                scored_item(summary, [figures.get((cell, m)) for m in summary.compared.metrics or metrics]),
                *(Item(*each) for each in spent_texts(totals[cell])),
            )
        )
    header = (
        "model",
        "prompt",
        *(titled(summary, m) for m in metrics),
        "scored",
        "$ per 1,000",
        "time each",
        "tokens in",
        "tokens out",
    )
    return Grid("Models and prompts", header, tuple(rows), labels=2)


def _marks(summary: Summary, metric: str) -> Mapping[CellKey, str]:
    """Return the standing of cells by `metric`; none where all have the same mean, which says nothing of any."""
    standing = find_standing(summary, metric)
    scored = [f for (_, name), f in figures_of(summary, "all").items() if name == metric and f.mean is not None]
    return {} if len(standing) == len(scored) and {*standing.values()} == {"best mean"} else standing


def best_first(summary: Summary) -> list[CellKey]:
    """Return the cells in the order of their means by the first main metric; those without one last."""
    cells = cells_of(summary)
    if not summary.compared.metrics:
        return cells
    metric, figures = summary.compared.metrics[0], figures_of(summary, "all")
    note = summary.metric_notes.get(metric)
    sign = 1 if note and note.direction == "lower" else -1

    def place(cell: CellKey) -> float:
        figure = figures.get((cell, metric))
        return math.inf if figure is None or figure.mean is None else sign * figure.mean

    return sorted(cells, key=place)


def _widest(summary: Summary, metric: str) -> float:
    """Return what is the whole width of a metric's spans: 1 for fractions, else the highest end."""
    if unit_of(summary, metric) == "fraction":
        return 1.0
    return max(
        (each.high or 0.0 for each in summary.figures if (each.group, each.metric) == ("all", metric)), default=0
    )


def _span(figure: Figure | None, widest: float) -> tuple[float, float, float] | None:
    if figure is None or figure.mean is None or figure.low is None or figure.high is None or widest <= 0:
        return None
    low, mean, high = (round(100 * min(max(each / widest, 0), 1), 1) for each in (figure.low, figure.mean, figure.high))
    return low, mean, high


def every_metric_grid(summary: Summary) -> Grid:
    """Return each cell with all metrics."""
    figures = figures_of(summary, "all")
    rows = tuple(
        (*name_items(cell), *(score_item(summary, figures.get((cell, metric)), "") for metric in summary.metrics))
        for cell in best_first(summary)
    )
    return Grid("All metrics", ("model", "prompt", *(titled(summary, m) for m in summary.metrics)), rows, labels=2)


def figures_of(summary: Summary, group: str) -> dict[tuple[CellKey, str], Figure]:
    """Return the figures of a grouping that has one group, by cell and metric."""
    return {
        ((each.model, each.params, each.prompt), each.metric): each for each in summary.figures if each.group == group
    }


def score_item(summary: Summary, figure: Figure | None, mark: str) -> Item:
    """Return a mean with its interval, its corpus figure and a mark."""
    if figure is None:
        return Item(NOTHING)
    unit = unit_of(summary, figure.metric)
    interval = interval_text(figure.mean, figure.low, figure.high, unit)
    text, _, rest = interval.partition(" ")
    corpus = "" if figure.corpus is None else f"corpus {number_text(figure.corpus, unit)}"
    return Item(text, "\n".join(part for part in (rest, corpus) if part), mark)


def scored_item(summary: Summary, figures: Iterable[Figure | None]) -> Item:
    """Return how many answers were scored, of how many, and what the means are where the others count as wrong."""
    known = [each for each in figures if each is not None]
    if not known:
        return Item(NOTHING)
    least, most = min(each.n_scored for each in known), max(each.n_scored for each in known)
    worst = [
        f"{each.metric} {number_text(each.worst_case, unit_of(summary, each.metric))}"
        for each in known
        if each.n_scored < each.n_total and each.worst_case not in (None, each.mean)
    ]
    return Item(
        f"{f'{least:,}' if least == most else f'{least:,} to {most:,}'} / {known[0].n_total:,}",
        "\n".join(["counted as wrong", *worst]) if worst else "",
    )


def name_items(cell: CellKey) -> tuple[Item, Item]:
    """Return the fields that name a cell: its model with its parameters, and its prompt."""
    return Item(cell[0], params_text(cell[1])), Item(cell[2])


def titled(summary: Summary, metric: str) -> str:
    """Return a metric with an arrow that says which way is better."""
    note = summary.metric_notes.get(metric)
    return f"{metric} {'↓' if note.direction == 'lower' else '↑'}" if note else metric
