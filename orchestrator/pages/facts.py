"""What stands below a metric's answer: the next one, who is not told apart, what answers take, what has no score."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.pages.amounts import SHORTEST_S, dollars_text, seconds_text
from orchestrator.pages.overview import cell_names
from orchestrator.pages.telling import is_nearly_worst
from orchestrator.pages.totals import CellKey, Totals
from orchestrator.reporting.blind import find_too_few
from orchestrator.reporting.numbers import number_text, unit_of
from orchestrator.scoring import CellName, Comparison, Figure, Summary
from orchestrator.scoring.comparison import NONE_SEEN

LEAD = "ahead of the next"
_TIMES_MIN = 1.5  # what takes less than so much less is not worth a sentence
_NAMES_MAX = 3
_SPENT = (("cost", "cheapest", "cheaper"), ("latency_s", "fastest", "faster"))


@dataclass(frozen=True, slots=True)
class Field:
    """The cells that are `scored` by one metric: the best, its `equals` with itself, `rivals` not told apart."""

    summary: Summary
    totals: Mapping[CellKey, Totals]
    metric: str
    best: CellKey
    scored: Sequence[CellKey]
    equals: Sequence[CellKey]
    rivals: Sequence[CellKey]

    def named(self, cell: CellKey) -> str:
        """Return the short name of `cell`."""
        return cell_names(self.summary)[cell]


def find_facts(field: Field, figure: Figure) -> Iterator[tuple[str, str]]:
    """Yield facts as labels and texts; `figure` is of the best mean."""
    is_told = find_too_few(field.summary, field.metric) is None
    if 1 < len(field.equals) < len(field.scored):
        yield "they are", listed([field.named(cell) for cell in field.equals])
    if (second := _second(field)) is not None:
        yield (LEAD if second.difference else "beside it"), _lead(field.summary, second)
    if is_told and len(field.rivals) > 1:
        yield "not told apart", listed([field.named(cell) for cell in field.rivals])
    if len(field.equals) > 1:
        yield from _least(field)
    elif (spent := _spent(field.totals[field.best])) != "":
        yield "takes", spent
    # Where nothing can be told apart, or all is wrong, that a much worse one is quicker is no advice.
    if is_told and not is_nearly_worst(field.summary, field.metric) and (cheaper := _cheaper(field)) is not None:
        yield cheaper
    if len(field.equals) == 1 and figure.n_scored < figure.n_total:
        yield "no score", _unscored(figure, unit_of(field.summary, field.metric))


def listed(names: Sequence[str]) -> str:
    """Return the first few names, and how many there are besides."""
    more = f" and {len(names) - _NAMES_MAX:,} more" if len(names) > _NAMES_MAX else ""
    return ", ".join(names[:_NAMES_MAX]) + more


def _second(field: Field) -> Comparison | None:
    """Return the comparison of the best mean with the next that is not equal to it."""
    equals = {*field.equals}
    for each in field.summary.compared.comparisons:
        if each.metric == field.metric and _key(each.first) == field.best and _key(each.second) not in equals:
            return each
    return None


def _lead(summary: Summary, each: Comparison) -> str:
    unit = unit_of(summary, each.metric)
    name = cell_names(summary).get(_key(each.second), each.second.text)
    if not each.difference:
        return f"{name} does as well where both have a score"
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


def _least(field: Field) -> Iterator[tuple[str, str]]:
    """Yield which of the equals takes the least, where they differ, and what the dearest takes."""
    for what, least, _ in _SPENT:
        known = {cell: spent for cell in field.equals if (spent := field.totals[cell].spent(what).mean) is not None}
        texts = {cell: _amount(what, spent) for cell, spent in known.items()}
        if len(set(texts.values())) < 2:  # noqa: PLR2004 - all the same
            continue
        low, high = min(known, key=lambda cell: known[cell]), max(known, key=lambda cell: known[cell])
        yield f"{least} of them", f"{field.named(low)}: {texts[low]}; others up to {texts[high]}"


def _amount(what: str, spent: float) -> str:
    return f"{dollars_text(1000 * spent)} per 1,000 answers" if what == "cost" else f"{seconds_text(spent)} an answer"


def _spent(totals: Totals) -> str:
    return ", ".join(_amount(what, spent) for what, _, _ in _SPENT if (spent := totals.spent(what).mean))


def _cheaper(field: Field) -> tuple[str, str] | None:
    """Return which of those not told apart takes much less money, or else time."""
    for what, _, label in _SPENT:
        spent = {cell: mean for cell in field.totals if (mean := field.totals[cell].spent(what).mean)}
        own = min((spent[cell] for cell in field.equals if cell in spent), default=0.0)
        known = [cell for cell in field.rivals if cell in spent]
        if not own or not known:
            continue
        least = min(known, key=lambda cell: spent[cell])
        if own / spent[least] >= _TIMES_MIN:
            has_times = what == "cost" or spent[least] >= SHORTEST_S
            times = f"{_times(own / spent[least])} times less, " if has_times else ""
            return f"{label}, not told apart", f"{field.named(least)}: {times}{_spent(field.totals[least])}"
    return None


def _times(times: float) -> str:
    return f"{times:,.0f}" if times >= 10 else f"{times:.1f}"  # noqa: PLR2004 - as many digits as matter


def _unscored(figure: Figure, unit: str) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in figure.reasons.items())
    worst = "" if figure.worst_case is None else f"; counted as wrong: {number_text(figure.worst_case, unit)}"
    return f"{figure.n_total - figure.n_scored:,} of {figure.n_total:,} answers ({reasons}){worst}"


def _key(name: CellName) -> CellKey:
    return name.model, name.params, name.prompt
