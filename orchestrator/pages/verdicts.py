"""What a reader wants first: by each main metric who is best, by how much, how sure that is, and what it takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.pages.amounts import dollars_text, seconds_text
from orchestrator.pages.overview import cell_names, figures_of
from orchestrator.pages.standing import find_standing
from orchestrator.pages.totals import CellKey, Totals
from orchestrator.reporting.blind import TooFew, find_too_few
from orchestrator.reporting.numbers import number_text, unit_of
from orchestrator.scoring import CellName, Comparison, Figure, Summary
from orchestrator.scoring.comparison import NONE_SEEN

_TIMES_MIN = 1.5  # what takes less than so much less is not worth a sentence
_NAMES_MAX = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """One metric's answer: the cell of the best mean, how it stands, its score, and facts as labels and texts.

    `counted` says what the score is from: answers and documents.
    """

    metric: str
    direction: str
    name: str
    is_sure: bool
    standing: str
    score: str
    interval: str
    counted: str
    facts: tuple[tuple[str, str], ...]


def make_verdicts(summary: Summary, totals: Mapping[CellKey, Totals]) -> list[Verdict]:
    """Return a verdict for each main metric that a cell has a score for."""
    made = (_verdict(summary, totals, metric) for metric in summary.compared.metrics)
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
    rivals = [cell for cell in cell_names(summary) if cell in standing and cell != best]
    without = [name for cell, name in cell_names(summary).items() if cell not in means]
    unit, figure = unit_of(summary, metric), figures[best]
    few = find_too_few(summary, metric)
    return Verdict(
        metric=metric,
        direction="lower is better" if is_lower else "higher is better",
        name=cell_names(summary)[best],
        is_sure=standing.get(best) == "best",
        standing=_standing(len(rivals), len(means), few),
        score=number_text(figure.mean, unit),
        interval=_interval(figure, unit),
        counted=_counted(figure),
        facts=(
            *_facts(summary, totals, metric, figure, rivals, has_list=few is None),
            *([("without any score", _listed(without))] if without else []),
        ),
    )


def _standing(rivals: int, cells: int, few: TooFew | None) -> str:
    if cells == 1:
        return "nothing to compare with"
    if few:
        return f"best mean; {few.short}"
    if not rivals:
        return "best: all others are worse"
    return f"best mean, but {'one other is' if rivals == 1 else f'{rivals} others are'} not told apart from it"


def _interval(figure: Figure, unit: str) -> str:
    if figure.low is None or figure.high is None:
        return "no interval: one document" if figure.n_documents == 1 else ""
    return f"95 % interval {number_text(figure.low, unit)} to {number_text(figure.high, unit)}"


def _counted(figure: Figure) -> str:
    answers = f"{figure.n_total:,} {'answer' if figure.n_total == 1 else 'answers'}"
    documents = f"{figure.n_documents:,} {'document' if figure.n_documents == 1 else 'documents'}"
    return f"from {figure.n_scored:,} of {answers}, {documents}"


def _facts(
    summary: Summary,
    totals: Mapping[CellKey, Totals],
    metric: str,
    figure: Figure,
    rivals: list[CellKey],
    *,
    has_list: bool,
) -> Iterator[tuple[str, str]]:
    best = (figure.model, figure.params, figure.prompt)
    if (second := _second(summary, metric, best)) is not None:
        yield ("ahead of the next" if second.difference else "beside it"), _lead(summary, second)
    if has_list and len(rivals) > 1:
        yield "not told apart", _listed([cell_names(summary)[cell] for cell in rivals])
    if (spent := _spent(totals[best])) != "":
        yield "takes", spent
    # Where nothing can be told apart, that a much worse one is quicker is no advice.
    if has_list and (cheaper := _cheaper(summary, totals, best, rivals)) is not None:
        yield cheaper
    if figure.n_scored < figure.n_total:
        yield "no score", _unscored(figure, unit_of(summary, metric))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    return ", ".join(names[:_NAMES_MAX]) + more


def _second(summary: Summary, metric: str, best: CellKey) -> Comparison | None:
    """Return the comparison of the best mean with the next."""
    of_metric = (each for each in summary.compared.comparisons if each.metric == metric)
    return next((each for each in of_metric if _key(each.first) == best), None)


def _lead(summary: Summary, each: Comparison) -> str:
    unit = unit_of(summary, each.metric)
    name = cell_names(summary).get(_key(each.second), each.second.text)
    if not each.difference:
        return f"{name} has the same mean"
    ends = _ends(each)
    interval = f" [{', '.join(number_text(end, unit) for end in ends)}]" if ends else ""
    p = "p < 0.001" if each.p_holm < 0.001 else f"p = {each.p_holm:.3f}"  # noqa: PLR2004 - three digits are shown
    sure = "not certain" if each.verdict == NONE_SEEN else "certain"
    return f"{name}, by {number_text(abs(each.difference), unit)}{interval}: {sure}, {p}"


def _ends(each: Comparison) -> list[float]:
    """Return the interval of the lead: of the difference, turned so that ahead is positive."""
    if each.low is None or each.high is None:
        return []
    return [each.low, each.high] if each.difference >= 0 else [-each.high, -each.low]


def _spent(totals: Totals) -> str:
    cost, time = totals.spent("cost").mean, totals.spent("latency_s").mean
    parts = [
        f"{dollars_text(1000 * cost)} per 1,000 answers" if cost else "",
        f"{seconds_text(time)} an answer" if time else "",
    ]
    return ", ".join(part for part in parts if part)


def _cheaper(
    summary: Summary, totals: Mapping[CellKey, Totals], best: CellKey, rivals: list[CellKey]
) -> tuple[str, str] | None:
    """Return which of those not told apart takes much less money, or else time."""
    for what, label in (("cost", "cheaper"), ("latency_s", "faster")):
        own = totals[best].spent(what).mean
        known = {cell: spent for cell in rivals if (spent := totals[cell].spent(what).mean)}
        if not own or not known:
            continue
        least = min(known, key=lambda cell: known[cell])
        if own / known[least] >= _TIMES_MIN:
            times = own / known[least]
            text = f"{times:.0f}" if times >= 10 else f"{times:.1f}"  # noqa: PLR2004 - as many digits as matter
            return (
                f"{label}, not told apart",
                f"{cell_names(summary)[least]}: {text} times less, {_spent(totals[least])}",
            )
    return None


def _unscored(figure: Figure, unit: str) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in figure.reasons.items())
    worst = "" if figure.worst_case is None else f"; counted as wrong: {number_text(figure.worst_case, unit)}"
    return f"{figure.n_total - figure.n_scored} of {figure.n_total} answers ({reasons}){worst}"


def _key(name: CellName) -> CellKey:
    return name.model, name.params, name.prompt
