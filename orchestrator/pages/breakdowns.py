"""The tables that divide cells' answers: by group, by repeat, and by what became of them."""

from collections.abc import Iterable, Mapping
from typing import Literal

from orchestrator.pages.overview import Grid, Item, best_first, cell_names, figures_of, name_items, titled
from orchestrator.pages.totals import CellKey, Totals
from orchestrator.reporting.numbers import NOTHING, number_text, unit_of
from orchestrator.scoring import Figure, Summary

GROUPS_MAX = 40
_HEATS = 9
_OF_REPEATS = (
    "Of each metric: the mean standard deviation between the repeats of one sample; "
    "below it the lowest and the highest mean of a repeat."
)
_Division = Literal["doc_class", "question_type"]


def heat_grids(summary: Summary) -> list[Grid]:
    """Return for each division and main metric the means by group and cell; none for a division into one group."""
    return [
        grid
        for division in ("doc_class", "question_type")
        for metric in summary.compared.metrics
        if (grid := _heat_grid(summary, division, metric)) is not None
    ]


def repeats_grid(summary: Summary, totals: Mapping[CellKey, Totals]) -> Grid | None:
    """Return how far repeats differ; None where nothing was asked twice."""
    repeated = [cell for cell in best_first(summary) if totals[cell].several]
    if not repeated:
        return None
    metrics = summary.compared.metrics
    rows = tuple(
        (*name_items(cell), _alike(totals[cell]), *(_spread(summary, totals[cell], metric) for metric in metrics))
        for cell in repeated
    )
    return Grid(
        "Repeats",
        ("model", "prompt", "all answers alike", *metrics),
        rows,
        labels=2,
        notes=(_OF_REPEATS,),
    )


def status_grid(summary: Summary, totals: Mapping[CellKey, Totals]) -> Grid:
    """Return how many answers of each cell came to what, and why answers have no score."""
    metric = summary.compared.metrics[0] if summary.compared.metrics else None
    figures = figures_of(summary, "all")
    reasons = {cell: (figures[cell, metric].reasons if metric else {}) for cell in best_first(summary)}
    statuses = _commonest(totals[cell].statuses for cell in reasons)
    others = [reason for reason in _commonest(reasons.values()) if reason not in statuses]
    names = ["ok", *(name for name in statuses if name != "ok"), *others]
    rows = tuple(
        (*name_items(cell), *(_count(totals[cell].statuses.get(name) or reasons[cell].get(name)) for name in names))
        for cell in reasons
    )
    by = f" by {metric}" if metric and others else ""
    notes = (f"{', '.join(others)}: answered, but without a score{by}.",) if others else ()
    return Grid("Answered, refused, failed", ("model", "prompt", *names), rows, labels=2, notes=notes)


def badness(summary: Summary, metric: str, mean: float | None) -> float | None:
    """Return how bad a mean is, 0 to 1; None where the metric's scores are no fractions."""
    note = summary.metric_notes.get(metric)
    if mean is None or note is None or note.unit != "fraction" or not 0 <= mean <= 1:
        return None
    return mean if note.direction == "lower" else 1 - mean


def _heat_grid(summary: Summary, division: _Division, metric: str) -> Grid | None:
    groups: dict[str, dict[CellKey, Figure]] = {}
    for each in summary.figures:
        if each.group == division and each.metric == metric:
            name = getattr(each, division) or ""
            groups.setdefault(name, {})[each.model, each.params, each.prompt] = each
    if len(groups) < 2:  # noqa: PLR2004 - one group is the whole
        return None
    cells = cell_names(summary)
    by_size = sorted(groups, key=lambda name: -max(each.n_total for each in groups[name].values()))
    rows = tuple(
        (Item(group_name(name)), *(_heat(summary, metric, groups[name].get(cell)) for cell in cells))
        for name in by_size[:GROUPS_MAX]
    )
    left = len(groups) - len(rows)
    notes = (f"{left} more groups, with fewer samples, are in summary.csv.",) if left else ()
    return Grid(f"{titled(summary, metric)} by {division}", (division, *cells.values()), rows, notes=notes)


def group_name(name: str) -> str:
    """Return what a group is called: also where nobody could see its name."""
    if not name:
        return "(none)"
    return name if any(letter.isprintable() and not letter.isspace() for letter in name) else "(blank)"


def _heat(summary: Summary, metric: str, figure: Figure | None) -> Item:
    if figure is None:
        return Item(NOTHING)
    bad = badness(summary, metric, figure.mean)
    heat = None if bad is None else round(bad * _HEATS)
    return Item(
        number_text(figure.mean, unit_of(summary, metric)), f"{figure.n_scored:,}/{figure.n_total:,}", heat=heat
    )


def _alike(totals: Totals) -> Item:
    return Item(f"{100 * totals.alike / totals.several:.0f} %", f"{totals.alike:,}/{totals.several:,} samples")


def _spread(summary: Summary, totals: Totals, metric: str) -> Item:
    repeats, unit = totals.repeats[metric], unit_of(summary, metric)
    means = repeats.means
    if repeats.deviation is None or not means:
        return Item(NOTHING)
    return Item(
        number_text(repeats.deviation, unit), f"{number_text(min(means), unit)} to {number_text(max(means), unit)}"
    )


def _count(count: int | None) -> Item:
    return Item(f"{count:,}") if count else Item(NOTHING)


def _commonest(counts: Iterable[Mapping[str, int]]) -> list[str]:
    total: dict[str, int] = {}
    for each in counts:
        for name, n in each.items():
            total[name] = total.get(name, 0) + n
    return sorted(total, key=lambda name: -total[name])
