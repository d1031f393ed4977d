"""The gate: whether a cell lost more than is allowed against another, and whether that can be told at all."""

import math
from collections.abc import Container, Mapping, Sequence
from typing import Literal, get_args

from pydantic import computed_field

from orchestrator.errors import UsageError
from orchestrator.parsing import Frozen
from orchestrator.scoring.bounds import Bound, find_bound, is_within, left_to_lose, losses_of, sign_of
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.comparison import SIGNIFICANT, Comparison, Pair
from orchestrator.scoring.matching import Unmatched
from orchestrator.scoring.summary import MetricNote
from orchestrator.statistics import claims_at_most, documents_needed, flips_for, holm, p_beyond

Outcome = Literal["regression", "cannot tell", "passed", "unchanged", "nothing to lose"]
Limits = float | Mapping[str, float]
"""The greatest loss that is allowed, for all metrics alike or by metric, each in its unit."""

_SAME = 1e-12


class Finding(Frozen):
    """What the gate says of a comparison; `loss` is by how much the second's mean is worse, less than 0 if better.

    `low` to `high` is its 95 % interval, of fractions within -1 and 1. More than `at_most` is ruled out, see
    `find_bound`, and `n_changed` says how many documents changed where these decided it. A `regression` is a loss shown
    to be more than `max_regression`: `p_holm`, of the test that it is just that, is at most 0.05 after Holm's
    correction over all that the gate tests. Of five documents or fewer no test could show it: `p_holm` is None, and the
    loss that was seen decides. There is `nothing to lose` where the first's mean is within `max_regression` of the
    worst score and the second's is not shown to be better. `passed` has an `at_most` that is allowed, `unchanged` the
    same score on every sample; all else is `cannot tell`.
    """

    metric: str
    first: CellName
    second: CellName
    max_regression: float
    n_documents: int
    loss: float
    low: float | None
    high: float | None
    at_most: float | None
    n_changed: int | None
    p_holm: float | None
    outcome: Outcome

    @property
    def is_ruled_out(self) -> bool:
        """Whether more than is allowed is ruled out; of what is `unchanged` that takes documents enough."""
        is_good = self.outcome in {"passed", "unchanged"}
        return is_good and self.at_most is not None and self.at_most <= self.max_regression


class Gate(Frozen):
    """What the gate found; `unjudged` is what the first run has and that could not be compared, or only in part."""

    findings: tuple[Finding, ...]
    unjudged: tuple[Unmatched, ...] = ()

    @property
    def regressions(self) -> tuple[Finding, ...]:
        """The comparisons that show a regression."""
        return tuple(each for each in self.findings if each.outcome == "regression")

    @property
    def undecided(self) -> tuple[Finding, ...]:
        """The comparisons that show neither a regression nor that there is none."""
        return tuple(each for each in self.findings if each.outcome == "cannot tell")

    @property
    def nothing_to_lose(self) -> tuple[Finding, ...]:
        """The comparisons that could not fail, since the first is near the worst score already."""
        return tuple(each for each in self.findings if each.outcome == "nothing to lose")

    @property
    def not_ruled_out(self) -> tuple[Finding, ...]:
        """The comparisons that show no regression, and where `strict` asks for more; with `nothing_to_lose`."""
        return tuple(each for each in self.findings if each.outcome != "regression" and not each.is_ruled_out)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def passed(self) -> bool:
        """Whether all was judged, and passed or is unchanged."""
        return not (self.regressions or self.undecided or self.nothing_to_lose or self.unjudged)

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def failed(self) -> bool:
        """Whether a regression was found."""
        return bool(self.regressions)

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def failed_strict(self) -> bool:
        """Whether a regression was found or is not ruled out somewhere, or there was nothing to lose."""
        return bool(self.regressions or self.not_ruled_out or self.unjudged)

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def counts(self) -> dict[str, int]:
        """How many comparisons have which outcome, and how many are not judged."""
        outcomes = [each.outcome for each in self.findings]
        found = {name: outcomes.count(name) for name in get_args(Outcome)}
        return {**found, "unjudged": len(self.unjudged)}

    def has_failed(self, *, strict: bool = False) -> bool:
        """Tell whether a regression was found; with `strict`, also whether one is not ruled out somewhere."""
        return self.failed_strict if strict else self.failed

    def has_passed(self, *, strict: bool = False) -> bool:
        """Tell whether all comparisons passed; with `strict`, whether each rules a regression out."""
        return not self.failed_strict if strict else self.passed


def check_limits(limits: Limits, notes: Mapping[str, MetricNote]) -> dict[str, float]:
    """Return the limit of each metric that has one; raise UsageError where one makes no sense for its metric."""
    units = {note.unit for note in notes.values()}
    if not isinstance(limits, Mapping) and len(units) > 1:
        raise UsageError(
            f"{', '.join(notes)} are measured in {' and '.join(sorted(units))}, for which one limit makes no sense; "
            "give each its own, such as --max-regression cer=0.01"
        )
    found = dict(limits) if isinstance(limits, Mapping) else dict.fromkeys(notes, float(limits))
    for name, limit in found.items():
        if name not in notes:
            raise UsageError(f"there is a limit for '{name}', which is not compared; compared: {', '.join(notes)}")
        if not (math.isfinite(limit) and limit >= 0):
            raise UsageError(f"a regression of {limit:g} in {name} cannot be a limit; it must be 0 or more")
        if notes[name].unit == "fraction" and limit >= 1:
            raise UsageError(f"{name} lies between 0 and 1, so that no loss is more than {limit:g}; 1 % is 0.01")
    return found


def judge(
    pairs: Sequence[Pair],
    comparisons: Sequence[Comparison],
    limits: Mapping[str, float],
    claims: int | None = None,
    fractions: Container[str] | None = None,
) -> tuple[Finding, ...]:
    """Judge those of `comparisons`, made of `pairs`, whose metric has a limit; `fractions` names metrics within 0 to 1.

    Holm's correction is over all of these that have documents enough for a test, or over `claims` where that is more.
    Raises UsageError where it leaves a comparison unable to fail, whatever its loss.
    """
    judged = [(pair, each) for pair, each in zip(pairs, comparisons, strict=True) if each.metric in limits]
    tested = [(pair, each) for pair, each in judged if _is_tested(each)]
    total = max(len(judged), claims or 0) - (len(judged) - len(tested))
    _check_power([each for _, each in tested], total)
    adjusted = iter(holm([_p(pair, each, limits[each.metric], flips_for(total)) for pair, each in tested], total))
    return tuple(
        _judge(
            pair,
            each,
            limits[each.metric],
            next(adjusted) if _is_tested(each) else None,
            is_fraction=(fractions is None or each.metric in fractions),
        )
        for pair, each in judged
    )


def _is_tested(each: Comparison) -> bool:
    return each.n_documents >= documents_needed()


def _check_power(tested: Sequence[Comparison], total: int) -> None:
    least = min(tested, key=lambda each: each.n_documents, default=None)
    if least and least.n_documents < documents_needed(total):
        raise UsageError(
            f"{least.metric} of {least.second.text} has {least.n_documents} documents: as one of {total} comparisons "
            f"no loss could be shown, however great; compare at most {claims_at_most(least.n_documents)} (--metric, "
            f"--cells), or use {documents_needed(total)} documents or more"
        )


def _p(pair: Pair, comparison: Comparison, limit: float, flips: int) -> float:
    """Return the p of a loss of `limit`; of 0 it is that of the comparison, so that both say the same."""
    return p_beyond(*losses_of(pair), limit, flips=flips) if limit else comparison.p


def _judge(pair: Pair, each: Comparison, limit: float, p: float | None, *, is_fraction: bool) -> Finding:
    bound = find_bound(pair, each, limit, is_fraction=is_fraction)
    is_bounded = is_fraction and is_within(pair)
    can_fail = not is_bounded or left_to_lose(pair, each) > limit + _SAME or each.verdict == "better"
    loss = sign_of(pair) * each.difference + 0.0
    most = 1.0 if is_bounded else math.inf
    ends = sorted(sign_of(pair) * end + 0.0 for end in (each.low, each.high) if end is not None)
    low, high = (min(most, max(-most, end)) for end in ends) if ends else (None, None)
    return Finding(
        metric=each.metric,
        first=each.first,
        second=each.second,
        max_regression=limit,
        n_documents=each.n_documents,
        loss=loss,
        low=low,
        high=high,
        at_most=min(most, bound.loss) if bound else None,
        n_changed=bound.n_changed if bound else None,
        p_holm=p,
        outcome=_outcome(each, loss, limit, p, bound) if can_fail else "nothing to lose",
    )


def _outcome(each: Comparison, loss: float, limit: float, p: float | None, bound: Bound | None) -> Outcome:
    if loss > limit + _SAME and (p is None or p <= SIGNIFICANT):
        return "regression"
    if not each.n_better and not each.n_worse:
        return "unchanged"
    return "passed" if bound is not None and bound.loss <= limit else "cannot tell"
