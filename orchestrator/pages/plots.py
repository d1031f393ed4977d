"""The report's plots: from a summary and totals to drawings."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from orchestrator.pages.axes import Scale, scale_for
from orchestrator.pages.overview import cell_text, cells_of, figures_of
from orchestrator.pages.shapes import HUES, Bar, Dot, Drawing, Line, Shape, Words, fitted
from orchestrator.pages.totals import CellKey, Totals
from orchestrator.reporting.numbers import number_text, signed_text, unit_of
from orchestrator.scoring import Comparison, Figure, Summary
from orchestrator.scoring.comparison import SIGNIFICANT
from orchestrator.scoring.tally import LENGTHS

WIDTH = 480.0
ROWS_MAX = 40
LINES_MAX = len(HUES)
_LEFT, _RIGHT, _TOP = 44.0, 16.0, 34.0
_ROW = 38.0
_PLOT = 220.0
_STEPS = (0.0, 0.1, 0.3, 0.6, 1.0)
_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 3), (2, 3), (8, 3, 2, 3))


def make_plots(summary: Summary, totals: Mapping[CellKey, Totals]) -> list[Drawing]:
    """Return the plots that the figures allow, each metric's beside each other."""
    metrics = summary.compared.metrics
    drawings: list[Drawing | None] = [_scores(summary, metric) for metric in metrics]
    drawings += [_differences(summary, metric) for metric in metrics]
    for metric in metrics:
        for name, label in (("cost", "US dollars an answer"), ("latency_s", "seconds an answer")):
            drawings.append(_against(summary, totals, metric, (name, label)))
    drawings += [_distribution(summary, totals), *(_by_length(summary, metric) for metric in metrics)]
    return [drawing for drawing in drawings if drawing is not None]


def _scores(summary: Summary, metric: str) -> Drawing | None:
    figures = figures_of(summary, "all")
    known = [(cell, f) for cell in cells_of(summary) if (f := figures.get((cell, metric))) and f.mean is not None]
    unit = unit_of(summary, metric)
    rows = [(cell_text(cell), f.mean or 0.0, f.low, f.high, number_text(f.mean, unit), True) for cell, f in known]
    title = f"{_titled(summary, metric)}, mean and 95 % interval"
    return _forest(f"scores-{metric}", title, rows, unit, zero=False)


def _differences(summary: Summary, metric: str) -> Drawing | None:
    of_metric = [each for each in summary.compared.comparisons if each.metric == metric]
    if not of_metric:
        return None
    best = of_metric[0].first
    others = [each for each in of_metric if each.first == best]
    unit = unit_of(summary, metric)
    rows = [
        (each.second.text, each.difference, each.low, each.high, _verdict(each, unit), each.p_holm <= SIGNIFICANT)
        for each in others
    ]
    title = f"{metric}: difference from {fitted(best.text, 250)}"
    return _forest(f"differences-{metric}", title, rows, unit, zero=True)


def _verdict(each: Comparison, unit: str) -> str:
    return f"{signed_text(each.difference, None, None, unit)}, {each.verdict}"


_Row = tuple[str, float, float | None, float | None, str, bool]


def _forest(name: str, title: str, rows: Sequence[_Row], unit: str, *, zero: bool) -> Drawing | None:
    """Draw a value with its interval per row, its name above; a ring where it is not significant."""
    if not rows:
        return None
    shown = rows[:ROWS_MAX]
    ends = [v for _, value, low, high, _, _ in shown for v in (value, low, high) if v is not None]
    scale = scale_for([*ends, 0.0] if zero else ends, 20.0, WIDTH - 20.0)
    if unit == "fraction" and not zero:
        scale = Scale(max(0.0, scale.low), min(1.0, scale.high), 20.0, WIDTH - 20.0)
    bottom = _TOP + _ROW * len(shown) + 4
    shapes: list[Shape] = [Words(0, 16, fitted(title, WIDTH, 14), size=14, bold=True), *_down(scale, _TOP, bottom)]
    if zero:
        shapes.append(Line(scale.at(0), _TOP, scale.at(0), bottom, "quiet", 1.5))
    for number, (label, value, low, high, text, is_sure) in enumerate(shown):
        y = _TOP + _ROW * number + 16
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


def _down(scale: Scale, top: float, bottom: float) -> Iterator[Shape]:
    for value, text in scale.ticks():
        x = scale.at(value)
        yield Line(x, top, x, bottom)
        yield Words(x, bottom + 14, text, "quiet", "middle", 11)


def _across(scale: Scale, left: float, right: float) -> Iterator[Shape]:
    for value, text in scale.ticks():
        y = scale.at(value)
        yield Line(left, y, right, y)
        yield Words(left - 6, y + 4, text, "quiet", "end", 11)


def _against(summary: Summary, totals: Mapping[CellKey, Totals], metric: str, what: tuple[str, str]) -> Drawing | None:
    """Draw a metric's mean against what an answer takes, numbered; None where fewer than two cells are known."""
    figures = figures_of(summary, "all")
    points = [
        (cell_text(cell), spent, figure)
        for cell in cells_of(summary)
        if (spent := totals[cell].spent(what[0]).mean) and (figure := figures.get((cell, metric)))
        if figure.mean is not None
    ]
    if len(points) < 2:  # noqa: PLR2004 - one point compares with nothing
        return None
    shown = points[:ROWS_MAX]
    x = scale_for([spent for _, spent, _ in shown], _LEFT, WIDTH - _RIGHT, may_be_log=True)
    y = _quality_scale(summary, metric, [figure for _, _, figure in shown])
    bottom = _TOP + _PLOT
    title = f"{_titled(summary, metric)} against {what[1]}"
    shapes: list[Shape] = [Words(0, 16, title, size=14, bold=True), *_down(x, _TOP, bottom)]
    shapes += _across(y, _LEFT, WIDTH - _RIGHT)
    for number, (name, spent, figure) in enumerate(shown, 1):
        place, hue = (x.at(spent), y.at(figure.mean or 0.0)), HUES[(number - 1) % len(HUES)]
        if figure.low is not None and figure.high is not None:
            shapes.append(Line(place[0], y.at(figure.low), place[0], y.at(figure.high), hue, 1.5))
        shapes.append(Dot(*place, 5, hue, hint=f"{name}: {figure.mean:.3f}, {spent:.4g} {what[1]}"))
        shapes.append(Words(place[0] + 8, place[1] - 6, str(number), hue, bold=True))
    legend, end = _legend([name for name, _, _ in shown], bottom + 34, numbered=True)
    scale_text = f"{what[1]}{', logarithmic' if x.is_log else ''}"
    shapes += [Words(WIDTH - _RIGHT, bottom + 28, scale_text, "quiet", "end", 11), *legend]
    told = "; ".join(f"{name}: {figure.mean:.3f} at {spent:.4g}" for name, spent, figure in shown)
    return Drawing(f"{metric}-{'cost' if what[0] == 'cost' else 'time'}", title, told, WIDTH, end, tuple(shapes))


def _quality_scale(summary: Summary, metric: str, figures: Sequence[Figure]) -> Scale:
    ends = [v for f in figures for v in (f.mean, f.low, f.high) if v is not None]
    scale = scale_for(ends, _TOP + _PLOT, _TOP)
    if unit_of(summary, metric) != "fraction":
        return scale
    return Scale(max(0.0, scale.low), min(1.0, scale.high), scale.start, scale.end)


def _legend(names: Sequence[str], top: float, *, numbered: bool = False) -> tuple[list[Shape], float]:
    shapes: list[Shape] = []
    for number, name in enumerate(names):
        y, hue = top + 18 * (number + 1), HUES[number % len(HUES)]
        if numbered:
            shapes += [Dot(7, y - 4, 5, hue), Words(18, y, f"{number + 1}  {fitted(name, WIDTH - 40)}")]
        else:
            dash = _DASHES[number // 2 % len(_DASHES)]
            shapes += [Line(0, y - 4, 26, y - 4, hue, 2, dash), Words(34, y, fitted(name, WIDTH - 50))]
    return shapes, top + 18 * len(names) + 10


def _distribution(summary: Summary, totals: Mapping[CellKey, Totals]) -> Drawing | None:
    """Draw what share of each cell's answers has which CER, or another main metric where there is no CER."""
    metrics = summary.compared.metrics
    bounded = [m for m in metrics if unit_of(summary, m) == "fraction"]
    if not bounded:
        return None
    metric = "cer" if "cer" in bounded else bounded[0]
    inks = ("h0", "h1", "h2", "h3", "h4", "h5")
    labels = ("0", "to 0.1", "to 0.3", "to 0.6", "to 1", "no score")
    title = f"{metric} of the answers, in shares"
    shapes: list[Shape] = [Words(0, 16, title, size=14, bold=True)]
    for number, (label, ink) in enumerate(zip(labels, inks, strict=True)):
        shapes += [Bar(number * 80.0, 26, 12, 12, ink), Words(number * 80.0 + 17, 36, label, "quiet", size=11)]
    told, cells = [], cells_of(summary)
    for number, cell in enumerate(cells[:ROWS_MAX]):
        shares, y = _shares(totals[cell].scores[metric]), 46 + _ROW * number
        shapes.append(Words(0, y + 14, fitted(cell_text(cell), WIDTH)))
        x = 0.0
        for share, ink, label in zip(shares, inks, labels, strict=True):
            shapes.append(Bar(x, y + 19, share * WIDTH, 12, ink, f"{metric} {label}: {100 * share:.1f} %"))
            x += share * WIDTH
        told.append(
            f"{cell_text(cell)}: " + ", ".join(f"{100 * s:.0f} % {t}" for s, t in zip(shares, labels, strict=True))
        )
    return Drawing(f"{metric}-distribution", title, "; ".join(told), WIDTH, 50 + _ROW * len(told), tuple(shapes))


def _shares(scores: Sequence[float]) -> list[float]:
    """Return the shares of scores that are 0, in each step up to 1 (or more), and unknown."""
    values = np.asarray(scores, np.float64)
    if not len(values):
        return [0.0] * (len(_STEPS) + 1)
    known = values[~np.isnan(values)]
    places = np.searchsorted(_STEPS, np.minimum(known, 1.0))
    counts = [*np.bincount(places, minlength=len(_STEPS)).tolist(), len(values) - len(known)]
    return [count / len(values) for count in counts]


def _by_length(summary: Summary, metric: str) -> Drawing | None:
    """Draw the means by length of the reference, a line per cell; None where there is one length only."""
    lines: dict[CellKey, dict[str, Figure]] = {}
    for each in summary.figures:
        if each.group == "reference_length" and each.metric == metric and each.mean is not None:
            lines.setdefault((each.model, each.params, each.prompt), {})[each.reference_length or ""] = each
    lengths = [length for length in LENGTHS if any(length in line for line in lines.values())]
    if len(lengths) < 2:  # noqa: PLR2004 - one length is the whole
        return None
    shown = list(lines)[:LINES_MAX]
    y = _quality_scale(summary, metric, [each for cell in shown for each in lines[cell].values()])
    step = (WIDTH - _RIGHT - _LEFT) / len(lengths)
    bottom = _TOP + _PLOT
    title = f"{_titled(summary, metric)} by length of the reference"
    shapes: list[Shape] = [Words(0, 16, title, size=14, bold=True), *_across(y, _LEFT, WIDTH - _RIGHT)]
    for place, length in enumerate(lengths):
        shapes.append(Words(_LEFT + step * (place + 0.5), bottom + 16, length, "quiet", "middle", 11))
    shapes.append(Words(WIDTH - _RIGHT, bottom + 32, "characters", "quiet", "end", 11))
    for number, cell in enumerate(shown):
        shift = 3.0 * (number - (len(shown) - 1) / 2)
        shapes += _line(
            cell_text(cell),
            lines[cell],
            [(n, _LEFT + step * (p + 0.5) + shift) for p, n in enumerate(lengths)],
            y,
            number,
        )
    names = [cell_text(cell) for cell in shown]
    legend, end = _legend(names, bottom + 38)
    if len(lines) > len(shown):
        legend.append(Words(0, end + 8, f"{len(lines) - len(shown)} more are in summary.csv", "quiet"))
        end += 18
    told = "; ".join(f"{cell_text(c)}: " + ", ".join(f"{n} {f.mean:.3f}" for n, f in lines[c].items()) for c in shown)
    return Drawing(f"{metric}-length", title, told, WIDTH, end, (*shapes, *legend))


def _line(
    name: str, figures: Mapping[str, Figure], places: Sequence[tuple[str, float]], y: Scale, number: int
) -> Iterator[Shape]:
    hue, dash = HUES[number % len(HUES)], _DASHES[number // 2 % len(_DASHES)]
    before: tuple[float, float] | None = None
    for length, x in places:
        if (figure := figures.get(length)) is None:
            continue
        here = (x, y.at(figure.mean or 0.0))
        if before:
            yield Line(*before, *here, hue, 2, dash)
        if figure.low is not None and figure.high is not None:
            yield Line(x, y.at(figure.low), x, y.at(figure.high), hue, 1)
        yield Dot(*here, 3.5, hue, hint=f"{name}, {length} characters: {figure.mean:.3f} ({figure.n_scored} scored)")
        before = here


def _titled(summary: Summary, metric: str) -> str:
    note = summary.metric_notes.get(metric)
    return f"{metric} ({note.direction} is better)" if note else metric
