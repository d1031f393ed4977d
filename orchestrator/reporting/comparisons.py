"""Which cells differ from the best, metric by metric."""

from collections.abc import Iterator, Sequence

from orchestrator.reporting.blind import told_verdict
from orchestrator.reporting.numbers import number_text, p_text, signed_text, unit_of
from orchestrator.reporting.params import Params, shorten
from orchestrator.reporting.tabular import Table
from orchestrator.scoring import CellName, Comparison, Summary

ROWS_MAX = 12  # a metric
_HEADER = ("metric", "model", "params", "prompt", "difference", "b/e/w", "p", "verdict")
_LABELS = 4


def comparison_table(summary: Summary) -> Table | None:
    """Return each cell's difference from the best by each main metric; None where there is nothing to compare."""
    rows = [row for metric in summary.compared.metrics for row in _rows(summary, metric)]
    if not rows:
        return None
    shown = [place for place, name in enumerate(_HEADER) if name != "params" or any(row[place] for row in rows)]
    header, *cells = (tuple(row[place] for place in shown) for row in (_HEADER, *rows))
    return Table("Against the best of each metric", header, tuple(cells), _LABELS - len(_HEADER) + len(shown))


def difference_text(each: Comparison, unit: str) -> str:
    """Return a difference with its interval, which of fractions ends where these cannot differ by more."""
    low, high = each.low, each.high
    if unit == "fraction" and low is not None and high is not None and abs(each.difference) <= 1:
        low, high = max(-1.0, low), min(1.0, high)
    return signed_text(each.difference, low, high, unit)


def _rows(summary: Summary, metric: str) -> Iterator[tuple[str, ...]]:
    of_metric = [each for each in summary.compared.comparisons if each.metric == metric]
    if not of_metric:
        return
    best = of_metric[0].first  # comparisons come in the order of means
    others = [each for each in of_metric if each.first == best]
    unit = unit_of(summary, metric)
    params = shorten(figure.params for figure in summary.figures)
    yield (metric, *_labels(best, params), _of_best(summary, metric, best), "", "", _mark(others))
    for each in others[:ROWS_MAX]:
        yield (
            metric,
            *_labels(each.second, params),
            difference_text(each, unit),
            *_found(summary, each),
        )
    if len(others) > ROWS_MAX:
        yield (metric, f"({len(others) - ROWS_MAX} more are in summary.json)", "", "", "", "", "", "")


def _found(summary: Summary, each: Comparison) -> Sequence[str]:
    return f"{each.n_better}/{each.n_equal}/{each.n_worse}", p_text(each.p_holm), told_verdict(summary, each)


def _mark(others: Sequence[Comparison]) -> str:
    return "best" if all(each.verdict == "worse" for each in others) else "best mean"


def _labels(cell: CellName, params: Params) -> tuple[str, str, str]:
    return cell.model, params.of(cell.params), cell.prompt


def _of_best(summary: Summary, metric: str, best: CellName) -> str:
    name = (best.model, best.params, best.prompt)
    for figure in summary.figures:
        if (figure.model, figure.params, figure.prompt, figure.metric, figure.group) == (*name, metric, "all"):
            return f"mean {number_text(figure.mean, unit_of(summary, metric))}"
    return ""
