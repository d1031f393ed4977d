"""What plots are made of: rows with intervals, ticks, legends."""

from collections.abc import Iterator, Sequence

from orchestrator.pages.axes import Scale, scale_for
from orchestrator.pages.shapes import HUES, Dot, Drawing, Line, Shape, Words, fitted
from orchestrator.reporting.numbers import unit_of
from orchestrator.scoring import Figure, Summary

WIDTH = 480.0
ROWS_MAX = 40
LEFT, RIGHT, TOP = 44.0, 16.0, 50.0
ROW = 38.0
PLOT = 220.0
_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 3), (2, 3), (8, 3, 2, 3))

Row = tuple[str, float, float | None, float | None, str, bool]
"""A row's name, its value, low and high ends of the interval, what is said of it, and whether it is significant."""


def titled(title: str, subtitle: str) -> list[Shape]:
    """Return a plot's title with what has to be known to read it."""
    return [
        Words(0, 16, fitted(title, WIDTH, 14, bold=True), size=14, bold=True),
        Words(0, 34, fitted(subtitle, WIDTH, 11), "quiet", size=11),
    ]


def forest(
    name: str, titles: tuple[str, str], rows: Sequence[Row], unit: str, *, zero: tuple[str, str] | None = None
) -> Drawing | None:
    """Draw a value with its interval per row, its name above; a ring where it is not significant.

    `zero` says what is on the left and the right of a line at 0.
    """
    if not rows:
        return None
    shown = rows[:ROWS_MAX]
    ends = [v for _, value, low, high, _, _ in shown for v in (value, low, high) if v is not None]
    scale = scale_for([*ends, 0.0] if zero else ends, 20.0, WIDTH - 20.0)
    if unit == "fraction" and not zero:
        scale = Scale(max(0.0, scale.low), min(1.0, scale.high), 20.0, WIDTH - 20.0)
    bottom = TOP + ROW * len(shown) + 4
    shapes: list[Shape] = titled(*titles)
    for number, row in enumerate(shown):
        shapes += _forest_row(row, TOP + ROW * number + 10, scale, has_zero=bool(zero))
    shapes += [Words(scale.at(value), bottom + 10, text, "quiet", "middle", 11) for value, text in scale.ticks()]
    if zero:
        bottom += 16
        shapes += [Words(0, bottom + 10, f"← {zero[0]}", "quiet", size=11)]
        shapes += [Words(WIDTH, bottom + 10, f"{zero[1]} →", "quiet", "end", 11)]
    if len(rows) > len(shown):
        bottom += 16
        shapes.append(Words(0, bottom + 10, f"{len(rows) - len(shown)} more are in summary.csv", "quiet"))
    told = "; ".join(f"{label}: {text}" for label, _, _, _, text, _ in shown)
    return Drawing(name, titles[0], told, WIDTH, bottom + 16, tuple(shapes))


def _forest_row(row: Row, y: float, scale: Scale, *, has_zero: bool) -> Iterator[Shape]:
    """Yield the name and what is said of it, and below them the interval between short strokes of the ticks."""
    label, value, low, high, text, is_sure = row
    yield Words(0, y, fitted(label, WIDTH - len(text) * 7 - 12))
    yield Words(WIDTH, y, text, "quiet", "end")
    yield Line(scale.start, y + 12, scale.end, y + 12)
    for tick, _ in scale.ticks():
        yield Line(scale.at(tick), y + 7, scale.at(tick), y + 17)
    if has_zero:
        yield Line(scale.at(0), y + 5, scale.at(0), y + 19, "ink", 1.5)
    if low is not None and high is not None:
        yield Line(scale.at(low), y + 12, scale.at(high), y + 12, "accent", 3)
    yield Dot(scale.at(value), y + 12, 5, "accent", hollow=not is_sure, hint=f"{label}: {text}")


def ticks_below(scale: Scale, top: float, bottom: float) -> Iterator[Shape]:
    """Yield upright lines with their values below."""
    for value, text in scale.ticks():
        x = scale.at(value)
        yield Line(x, top, x, bottom)
        yield Words(x, bottom + 14, text, "quiet", "middle", 11)


def ticks_beside(scale: Scale, left: float, right: float) -> Iterator[Shape]:
    """Yield level lines with their values to the left."""
    for value, text in scale.ticks():
        y = scale.at(value)
        yield Line(left, y, right, y)
        yield Words(left - 6, y + 4, text, "quiet", "end", 11)


def legend_of(names: Sequence[tuple[int, str]], top: float, *, numbered: bool = False) -> tuple[list[Shape], float]:
    """Return a line per cell, its number and name, from `top` downwards with its dash or number, and where they end."""
    shapes: list[Shape] = []
    for row, (number, name) in enumerate(names):
        y = top + 18 * (row + 1)
        if numbered:
            shapes += [Dot(7, y - 4, 5, hue_of(number)), Words(18, y, f"{number + 1}  {fitted(name, WIDTH - 40)}")]
        else:
            shapes += [
                Line(0, y - 4, 26, y - 4, hue_of(number), 2, dash_of(number)),
                Words(34, y, fitted(name, WIDTH - 50)),
            ]
    return shapes, top + 18 * len(names) + 10


def hue_of(number: int) -> str:
    """Return the colour of a cell: the same in all plots."""
    return HUES[number % len(HUES)]


def dash_of(number: int) -> tuple[float, ...]:
    """Return the dash of a cell's line."""
    return _DASHES[number // 2 % len(_DASHES)]


def quality_scale(summary: Summary, metric: str, figures: Sequence[Figure], *, has_ends: bool = True) -> Scale:
    """Return the scale of a metric's means, with their intervals where these are drawn; of fractions within 0 and 1."""
    ends = [v for f in figures for v in ((f.mean, f.low, f.high) if has_ends else (f.mean,)) if v is not None]
    scale = scale_for(ends, TOP + PLOT, TOP)
    if unit_of(summary, metric) != "fraction":
        return scale
    return Scale(max(0.0, scale.low), min(1.0, scale.high), scale.start, scale.end)


def metric_title(summary: Summary, metric: str) -> str:
    """Return a metric and which way is better."""
    note = summary.metric_notes.get(metric)
    return f"{metric} ({note.direction} is better)" if note else metric
