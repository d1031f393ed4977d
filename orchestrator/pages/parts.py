"""What plots are made of: rows with intervals, ticks, legends."""

from collections.abc import Iterator, Sequence

from orchestrator.pages.axes import Scale, scale_for
from orchestrator.pages.shapes import HUES, Dot, Drawing, Line, Shape, Words, fitted

WIDTH = 480.0
ROWS_MAX = 40
LEFT, RIGHT, TOP = 44.0, 16.0, 34.0
ROW = 38.0
PLOT = 220.0
DASHES: tuple[tuple[float, ...], ...] = ((), (6, 3), (2, 3), (8, 3, 2, 3))

Row = tuple[str, float, float | None, float | None, str, bool]
"""A row's name, its value, low and high ends of the interval, what is said of it, and whether it is significant."""


def forest(name: str, title: str, rows: Sequence[Row], unit: str, *, zero: bool) -> Drawing | None:
    """Draw a value with its interval per row, its name above; a ring where it is not significant."""
    if not rows:
        return None
    shown = rows[:ROWS_MAX]
    ends = [v for _, value, low, high, _, _ in shown for v in (value, low, high) if v is not None]
    scale = scale_for([*ends, 0.0] if zero else ends, 20.0, WIDTH - 20.0)
    if unit == "fraction" and not zero:
        scale = Scale(max(0.0, scale.low), min(1.0, scale.high), 20.0, WIDTH - 20.0)
    bottom = TOP + ROW * len(shown) + 4
    shapes: list[Shape] = [Words(0, 16, fitted(title, WIDTH, 14), size=14, bold=True), *ticks_below(scale, TOP, bottom)]
    if zero:
        shapes.append(Line(scale.at(0), TOP, scale.at(0), bottom, "quiet", 1.5))
    for number, (label, value, low, high, text, is_sure) in enumerate(shown):
        y = TOP + ROW * number + 16
        shapes.append(Words(0, y, fitted(label, 300)))
        shapes.append(Words(WIDTH, y, text, "quiet", "end"))
        if low is not None and high is not None:
            shapes.append(Line(scale.at(low), y + 11, scale.at(high), y + 11, "accent", 2))
        shapes.append(Dot(scale.at(value), y + 11, 4.5, "accent", hollow=not is_sure, hint=f"{label}: {text}"))
    if len(rows) > len(shown):
        bottom += 16
        shapes.append(Words(0, bottom + 14, f"{len(rows) - len(shown)} more are in summary.csv", "quiet"))
    told = "; ".join(f"{label}: {text}" for label, _, _, _, text, _ in shown)
    return Drawing(name, title, told, WIDTH, bottom + 20, tuple(shapes))


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


def legend_of(names: Sequence[str], top: float, *, numbered: bool = False) -> tuple[list[Shape], float]:
    """Return a line per name from `top` downwards, with its dash or its number, and where they end."""
    shapes: list[Shape] = []
    for number, name in enumerate(names):
        y, hue = top + 18 * (number + 1), HUES[number % len(HUES)]
        if numbered:
            shapes += [Dot(7, y - 4, 5, hue), Words(18, y, f"{number + 1}  {fitted(name, WIDTH - 40)}")]
        else:
            dash = DASHES[number // 2 % len(DASHES)]
            shapes += [Line(0, y - 4, 26, y - 4, hue, 2, dash), Words(34, y, fitted(name, WIDTH - 50))]
    return shapes, top + 18 * len(names) + 10
