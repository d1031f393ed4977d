"""What a reader wants first: by each main metric who is best, by how much, how sure that is, and what it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.pages.facts import Field, find_facts, listed
from orchestrator.pages.overview import cell_names, figures_of
from orchestrator.pages.standing import find_standing, is_same
from orchestrator.pages.telling import card_metrics, warning_of
from orchestrator.pages.totals import CellKey, Totals
from orchestrator.reporting.blind import find_too_few
from orchestrator.reporting.numbers import number_text, unit_of
from orchestrator.scoring import Figure, Summary


@dataclass(frozen=True, slots=True)
class Verdict:
    """One metric's answer: the cell of the best mean, how it stands, its score, and facts as labels and texts.

    `counted` says what the score is from: answers and documents. Where several cells have the best mean, `name` says so
    and names none. `warning` is what has to be known where all cells are at the worst end of the metric.
    """

    metric: str
    direction: str
    name: str
    is_sure: bool
    standing: str
    score: str
    interval: str
    counted: str
    warning: str
    facts: tuple[tuple[str, str], ...]


def make_verdicts(summary: Summary, totals: Mapping[CellKey, Totals]) -> list[Verdict]:
    """Return a verdict for each main metric, and for those chosen besides, that a cell has a score for."""
    made = (_verdict(summary, totals, metric) for metric in card_metrics(summary))
    return [verdict for verdict in made if verdict is not None]


def _verdict(summary: Summary, totals: Mapping[CellKey, Totals], metric: str) -> Verdict | None:
    note = summary.metric_notes.get(metric)
    is_lower = note is not None and note.direction == "lower"
    figures = {cell: f for (cell, name), f in figures_of(summary, "all").items() if name == metric}
    means = {cell: f.mean for cell, f in figures.items() if f.mean is not None}
    if not means:
        return None
    standing = find_standing(summary, metric)
    best = next(iter(standing), None) or (min if is_lower else max)(means, key=lambda cell: means[cell])
    equals = [cell for cell in cell_names(summary) if cell in means and _is_equal(figures[cell], figures[best])]
    rivals = [cell for cell in cell_names(summary) if cell in standing and cell not in {best, *equals}]
    field = Field(summary, totals, metric, best, list(means), equals, rivals)
    without = [name for cell, name in cell_names(summary).items() if cell not in means]
    unit, warning = unit_of(summary, metric), warning_of(summary, metric)
    return Verdict(
        metric=metric,
        direction="lower is better" if is_lower else "higher is better",
        name=_name(field),
        is_sure=standing.get(best) == "best" and not warning,
        standing=_standing(field, is_tested=bool(standing)),
        score=number_text(figures[best].mean, unit),
        interval=_interval([figures[cell] for cell in equals], unit),
        counted=_counted([figures[cell] for cell in equals]),
        warning=warning,
        facts=(*find_facts(field, figures[best]), *([("without any score", listed(without))] if without else [])),
    )


def _is_equal(one: Figure, best: Figure) -> bool:
    """Tell whether two cells have the same mean, also where answers without a score count as wrong."""
    return is_same(one.mean, best.mean) and is_same(one.worst_case, best.worst_case)


def _name(field: Field) -> str:
    """Return the cell of the best mean; where several have it, that they do: none of them is the one."""
    tied, cells = len(field.equals), len(field.scored)
    if tied == 1:
        return field.named(field.best)
    return f"{tied} of {cells} share the best mean" if tied < cells else f"{_all(tied)} have the same mean"


def _all(cells: int) -> str:
    return "both" if cells == 2 else f"all {cells:,}"  # noqa: PLR2004 - two are both


def _standing(field: Field, *, is_tested: bool) -> str:
    cells = len(field.scored)
    if cells == 1:
        return "nothing to compare with"
    few, rivals = find_too_few(field.summary, field.metric), len(field.rivals)
    best = "best mean" if len(field.equals) == 1 else "nobody is best"
    if len(field.equals) == cells and not few:
        return best
    if not is_tested:
        return f"{best}; no test is made by this metric"
    if few:
        return f"{best}; {few.short}"
    if not rivals:
        return "best: all others are worse" if len(field.equals) == 1 else f"{best}; all others are worse"
    others = f"{'one other is' if rivals == 1 else f'{rivals:,} others are'} not told apart from"
    return f"{best}, but {others} it" if len(field.equals) == 1 else f"{best}; {others} them"


def _interval(figures: Sequence[Figure], unit: str) -> str:
    """Return the interval of the best mean; of several that are equal only where it is the same."""
    texts = {_interval_of(figure, unit) for figure in figures}
    return texts.pop() if len(texts) == 1 else ""


def _interval_of(figure: Figure, unit: str) -> str:
    if figure.low is None or figure.high is None:
        return "no interval: one document" if figure.n_documents == 1 else ""
    return f"95 % interval {number_text(figure.low, unit)} to {number_text(figure.high, unit)}"


def _counted(figures: Sequence[Figure]) -> str:
    texts = list(dict.fromkeys(map(_counted_of, figures)))
    if len(texts) == 1:
        return f"{'each ' if len(figures) > 1 else ''}{texts[0]}"
    counts = [figure.n_scored for figure in figures]
    return f"each from {min(counts):,} to {max(counts):,} answers"


def _counted_of(figure: Figure) -> str:
    answers = f"{figure.n_total:,} {'answer' if figure.n_total == 1 else 'answers'}"
    documents = f"{figure.n_documents:,} {'document' if figure.n_documents == 1 else 'documents'}"
    return f"from {figure.n_scored:,} of {answers}, {documents}"
