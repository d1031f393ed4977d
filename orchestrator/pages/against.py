"""The plots of quality against what answers take."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.pages.axes import Scale, scale_for
from orchestrator.pages.overview import cell_names, figures_of
from orchestrator.pages.parts import (
    LEFT,
    PLOT,
    RIGHT,
    ROWS_MAX,
    TOP,
    WIDTH,
    hue_of,
    legend_of,
    metric_title,
    quality_scale,
    ticks_below,
    ticks_beside,
    titled,
)
from orchestrator.pages.shapes import Dot, Drawing, Line, Shape, Words
from orchestrator.pages.totals import CellKey, Totals
from orchestrator.scoring import Figure, Summary

_NUMBER = 15.0  # the room of a number
_OF_FRONTIER = "Upright: 95 % interval. Dotted: through what no other beats in both."


@dataclass(frozen=True, slots=True)
class _Point:
    number: int  # of the cell, the same in all plots
    name: str
    spent: float
    figure: Figure

    @property
    def mean(self) -> float:
        return self.figure.mean or 0.0


def against(summary: Summary, totals: Mapping[CellKey, Totals], metric: str, what: str) -> Drawing | None:
    """Draw a metric's mean against what answers take, numbered; None where fewer than two cells are known."""
    times, label = (
        (1000, "US dollars per 1,000 answers") if what == "cost" else (1, "seconds an answer, waiting included")
    )
    figures = figures_of(summary, "all")
    points = [
        _Point(number, name, times * spent, figure)
        for number, (cell, name) in enumerate(cell_names(summary).items())
        if (spent := totals[cell].spent(what).mean) and (figure := figures.get((cell, metric)))
        if figure.mean is not None
    ][:ROWS_MAX]
    if len(points) < 2:  # noqa: PLR2004 - one point compares with nothing
        return None
    note = summary.metric_notes.get(metric)
    x = scale_for([point.spent for point in points], LEFT, WIDTH - RIGHT, may_be_log=True)
    y = quality_scale(summary, metric, [point.figure for point in points])
    bottom = TOP + PLOT
    title = f"{metric_title(summary, metric)} against {'cost' if what == 'cost' else 'time'}"
    shapes: list[Shape] = [*titled(title, _OF_FRONTIER), *ticks_below(x, TOP, bottom)]
    shapes += [
        *ticks_beside(y, LEFT, WIDTH - RIGHT),
        *_frontier(points, x, y, is_lower=note is not None and note.direction == "lower"),
    ]
    shapes += _dots(points, x, y, label)
    legend, end = legend_of([(point.number, point.name) for point in points], bottom + 34, numbered=True)
    shapes += [
        Words(WIDTH - RIGHT, bottom + 28, f"{label}{', logarithmic' if x.is_log else ''}", "quiet", "end", 11),
        *legend,
    ]
    told = "; ".join(f"{point.name}: {point.mean:.3f} at {point.spent:.4g}" for point in points)
    return Drawing(
        f"{metric}-{'cost' if what == 'cost' else 'time'}", title, f"{label}: {told}", WIDTH, end, tuple(shapes)
    )


def _frontier(points: Sequence[_Point], x: Scale, y: Scale, *, is_lower: bool) -> Iterator[Shape]:
    """Yield the steps through the points that no other one beats in both."""
    best: _Point | None = None
    for point in sorted(points, key=lambda each: (each.spent, each.mean if is_lower else -each.mean)):
        if best is not None and (point.mean >= best.mean if is_lower else point.mean <= best.mean):
            continue
        if best is not None:
            yield Line(x.at(best.spent), y.at(best.mean), x.at(point.spent), y.at(best.mean), "quiet", 1.5, (2, 3))
            yield Line(x.at(point.spent), y.at(best.mean), x.at(point.spent), y.at(point.mean), "quiet", 1.5, (2, 3))
        best = point


def _dots(points: Sequence[_Point], x: Scale, y: Scale, label: str) -> Iterator[Shape]:
    """Yield the points with their intervals and numbers."""
    labels: list[tuple[float, float]] = []
    for point in points:
        place, hue = (x.at(point.spent), y.at(point.mean)), hue_of(point.number)
        if point.figure.low is not None and point.figure.high is not None:
            yield Line(place[0], y.at(point.figure.low), place[0], y.at(point.figure.high), hue, 1.5)
        yield Dot(*place, 5, hue, hint=f"{point.name}: {point.mean:.3f}, {point.spent:.4g} {label}")
        labels.append(_beside(place, labels))
        yield Words(*labels[-1], str(point.number + 1), hue, bold=True)


def _beside(place: tuple[float, float], taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return where a point's number goes: the nearest place within the plot where no other number is."""
    x, y = place
    for step in range(int(PLOT / _NUMBER)):
        for label in itertools.product((x + 8, x - 8 - _NUMBER), (y - 6 - _NUMBER * step, y + _NUMBER * (step + 1))):
            is_within = label[0] + _NUMBER <= WIDTH and TOP <= label[1] <= TOP + PLOT
            if is_within and not any(
                abs(label[0] - other) < _NUMBER and abs(label[1] - height) < _NUMBER for other, height in taken
            ):
                return label
    return x - 8 - _NUMBER, y - 6
