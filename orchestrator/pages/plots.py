"""The report's plots: from a summary and totals to drawings."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from orchestrator.pages.against import against
from orchestrator.pages.axes import Scale
from orchestrator.pages.overview import cell_names, figures_of
from orchestrator.pages.parts import (
    LEFT,
    PLOT,
    RIGHT,
    ROW,
    ROWS_MAX,
    TOP,
    WIDTH,
    Row,
    dash_of,
    forest,
    hue_of,
    legend_of,
    metric_title,
    quality_scale,
    ticks_beside,
    titled,
)
from orchestrator.pages.shapes import HUES, Bar, Dot, Drawing, Line, Shape, Words, fitted
from orchestrator.pages.telling import is_one_end
from orchestrator.pages.totals import CellKey, Totals
from orchestrator.reporting.blind import told_verdict
from orchestrator.reporting.numbers import number_text, signed_text, unit_of
from orchestrator.scoring import CellName, Figure, Summary
from orchestrator.scoring.comparison import SIGNIFICANT
from orchestrator.scoring.tally import LENGTHS

LINES_MAX = len(HUES)
_INTERVALS_MAX = 4  # more of them hide the lines
_STEPS = (0.0, 0.1, 0.3, 0.6, 1.0)


def make_plots(summary: Summary, totals: Mapping[CellKey, Totals]) -> list[Drawing]:
    """Return the plots that the figures allow, each metric's beside each other."""
    metrics = summary.compared.metrics
    drawings: list[Drawing | None] = [_scores(summary, metric) for metric in metrics]
    drawings += [_differences(summary, metric) for metric in metrics]
    divided = [metric for metric in metrics if not is_one_end(summary, metric)]
    for metric in divided:
        for name in ("cost", "latency_s"):
            drawings.append(against(summary, totals, metric, name))
    drawings += [_distribution(summary, totals), *(_by_length(summary, metric) for metric in divided)]
    return [drawing for drawing in drawings if drawing is not None]


def unplotted_notes(summary: Summary) -> list[str]:
    """Return why a metric has fewer plots than the others."""
    flat = [metric for metric in summary.compared.metrics if is_one_end(summary, metric)]
    return [
        f"{metric} has the same value for all answers, so it has no plots against cost, time and length."
        for metric in flat
    ]


def _scores(summary: Summary, metric: str) -> Drawing | None:
    figures = figures_of(summary, "all")
    cells = cell_names(summary).items()
    known = [(name, f) for cell, name in cells if (f := figures.get((cell, metric))) and f.mean is not None]
    note, unit = summary.metric_notes.get(metric), unit_of(summary, metric)
    known.sort(key=lambda each: (each[1].mean or 0.0) * (1 if note and note.direction == "lower" else -1))
    rows = [(name, f.mean or 0.0, f.low, f.high, number_text(f.mean, unit), True) for name, f in known]
    titles = (metric_title(summary, metric), "Dot: mean. Line: its 95 % interval.")
    return forest(f"scores-{metric}", titles, rows, unit)


def _differences(summary: Summary, metric: str) -> Drawing | None:
    of_metric = [each for each in summary.compared.comparisons if each.metric == metric]
    if not of_metric:
        return None
    best = of_metric[0].first
    others = [each for each in of_metric if each.first == best]
    unit, names = unit_of(summary, metric), cell_names(summary)
    figure = figures_of(summary, "all").get(((best.model, best.params, best.prompt), metric))
    mean = number_text(figure.mean if figure else of_metric[0].first_mean, unit)
    rows: list[Row] = [(_name(names, best), 0.0, None, None, f"the best mean, {mean}", True)]
    rows += [
        (
            _name(names, each.second),
            each.difference,
            each.low,
            each.high,
            f"{signed_text(each.difference, None, None, unit)}, {told_verdict(summary, each)}",
            each.p_holm <= SIGNIFICANT,
        )
        for each in others
    ]
    note = summary.metric_notes.get(metric)
    sides = ("better", "worse") if note and note.direction == "lower" else ("worse", "better")
    titles = (
        f"{metric}: difference from the best mean",
        "Line: 95 % interval of this difference alone. Ring: not certain (Holm).",
    )
    return forest(f"differences-{metric}", titles, rows, unit, zero=sides)


def _name(names: Mapping[CellKey, str], cell: CellName) -> str:
    return names.get((cell.model, cell.params, cell.prompt), cell.text)


def _distribution(summary: Summary, totals: Mapping[CellKey, Totals]) -> Drawing | None:
    """Draw what share of each cell's answers has which CER, or another main metric where there is no CER."""
    metrics = summary.compared.metrics
    bounded = [m for m in metrics if unit_of(summary, m) == "fraction"]
    if not bounded:
        return None
    metric = "cer" if "cer" in bounded else bounded[0]
    inks = ("h0", "h1", "h2", "h3", "h4", "h5")
    labels = ("0", "to 0.1", "to 0.3", "to 0.6", "to 1", "no score")
    title = f"{metric}: how the answers are spread"
    shapes: list[Shape] = titled(title, "Shares of all answers. No score: refused, failed or not scorable.")
    for number, (label, ink) in enumerate(zip(labels, inks, strict=True)):
        shapes += [Bar(number * 80.0, 44, 12, 12, ink), Words(number * 80.0 + 17, 54, label, "quiet", size=11)]
    told, cells = [], cell_names(summary)
    for number, (cell, name) in enumerate(list(cells.items())[:ROWS_MAX]):
        shares, y = _shares(totals[cell].scores[metric]), 62 + ROW * number
        shapes.append(Words(0, y + 14, fitted(name, WIDTH)))
        x = 0.0
        for share, ink, label in zip(shares, inks, labels, strict=True):
            shapes.append(Bar(x, y + 19, share * WIDTH, 12, ink, f"{metric} {label}: {100 * share:.1f} %"))
            x += share * WIDTH
        told.append(f"{name}: " + ", ".join(f"{100 * s:.0f} % {t}" for s, t in zip(shares, labels, strict=True)))
    return Drawing(f"{metric}-distribution", title, "; ".join(told), WIDTH, 66 + ROW * len(told), tuple(shapes))


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
    names = cell_names(summary)
    numbers = {cell: number for number, cell in enumerate(names)}
    shown = sorted(lines, key=lambda cell: numbers[cell])[:LINES_MAX]
    has_ends = len(shown) <= _INTERVALS_MAX
    drawn = [each for cell in shown for each in lines[cell].values()]
    y = quality_scale(summary, metric, drawn, has_ends=has_ends)
    step = (WIDTH - RIGHT - LEFT) / len(lengths)
    bottom = TOP + PLOT
    title = f"{metric_title(summary, metric)} by length of the right answer"
    subtitle = f"Dot: mean. {'Upright: 95 % interval.' if has_ends else 'Intervals are in summary.csv.'}"
    shapes: list[Shape] = [*titled(title, subtitle), *ticks_beside(y, LEFT, WIDTH - RIGHT)]
    for place, length in enumerate(lengths):
        shapes.append(Words(LEFT + step * (place + 0.5), bottom + 16, length, "quiet", "middle", 11))
    shapes.append(Words(WIDTH - RIGHT, bottom + 32, "characters", "quiet", "end", 11))
    for number, cell in enumerate(shown):
        shift = 3.0 * (number - (len(shown) - 1) / 2)
        shapes += _line(
            names[cell],
            lines[cell],
            [(n, LEFT + step * (p + 0.5) + shift) for p, n in enumerate(lengths)],
            y,
            numbers[cell],
            has_ends=has_ends,
        )
    legend, end = legend_of([(numbers[cell], names[cell]) for cell in shown], bottom + 38)
    if len(lines) > len(shown):
        legend.append(Words(0, end + 8, f"{len(lines) - len(shown)} more are in summary.csv", "quiet"))
        end += 18
    told = "; ".join(f"{names[c]}: " + ", ".join(f"{n} {f.mean:.3f}" for n, f in lines[c].items()) for c in shown)
    return Drawing(f"{metric}-length", title, told, WIDTH, end, (*shapes, *legend))


def _line(
    name: str,
    figures: Mapping[str, Figure],
    places: Sequence[tuple[str, float]],
    y: Scale,
    number: int,
    *,
    has_ends: bool,
) -> Iterator[Shape]:
    hue, dash = hue_of(number), dash_of(number)
    before: tuple[float, float] | None = None
    for length, x in places:
        if (figure := figures.get(length)) is None:
            continue
        here = (x, y.at(figure.mean or 0.0))
        if before:
            yield Line(*before, *here, hue, 2, dash)
        if has_ends and figure.low is not None and figure.high is not None:
            yield Line(x, y.at(figure.low), x, y.at(figure.high), hue, 1)
        yield Dot(*here, 3.5, hue, hint=f"{name}, {length} characters: {figure.mean:.3f} ({figure.n_scored} scored)")
        before = here
