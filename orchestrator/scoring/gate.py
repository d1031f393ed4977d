"""The gate: whether a cell lost more than is allowed against another, and whether that can be told at all."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from orchestrator.errors import UsageError
from orchestrator.parsing import Frozen
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.comparison import SIGNIFICANT, Comparison, Pair
from orchestrator.scoring.matching import Unmatched
from orchestrator.scoring.summary import MetricNote
from orchestrator.statistics import flips_for, holm, p_beyond

Outcome = Literal["regression", "cannot tell", "passed"]
Limits = float | Mapping[str, float]
"""The greatest loss that is allowed, for all metrics alike or by metric, each in its unit."""


class Finding(Frozen):
    """What the gate says of a comparison; `loss` is by how much the second's mean is worse, less than 0 if better.

    `low` to `high` is its 95 % interval. A `regression` is a loss shown to be more than `max_regression`: `p_holm`,
    of the test that it is just that, is at most 0.05 after Holm's correction over all that the gate judges. `passed`
    has an interval that does not reach beyond it, or the same score on every sample; all else is `cannot tell`.
    """

    metric: str
    first: CellName
    second: CellName
    max_regression: float
    loss: float
    low: float | None
    high: float | None
    p_holm: float
    outcome: Outcome


class Gate(Frozen):
    """What the gate found; `unjudged` is what the first run has and that could not be compared."""

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

    def has_passed(self, *, strict: bool = False) -> bool:
        """Tell whether no regression was found; with `strict`, whether each was shown not to be there."""
        return not self.regressions and not (strict and (self.undecided or self.unjudged))


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
    pairs: Sequence[Pair], comparisons: Sequence[Comparison], limits: Mapping[str, float], claims: int | None = None
) -> tuple[Finding, ...]:
    """Judge those of `comparisons`, made of `pairs`, whose metric has a limit.

    Holm's correction is over all of these, or over `claims` where that is more.
    """
    judged = [(pair, each) for pair, each in zip(pairs, comparisons, strict=True) if each.metric in limits]
    total = max(len(judged), claims or 0)
    adjusted = holm([_p(pair, each, limits[each.metric], flips_for(total)) for pair, each in judged], total)
    return tuple(_judge(pair, each, limits[each.metric], p) for (pair, each), p in zip(judged, adjusted, strict=True))


def _p(pair: Pair, comparison: Comparison, limit: float, flips: int) -> float:
    """Return the p of a loss of `limit`; of 0 it is that of the comparison, so that both say the same."""
    if not limit:
        return comparison.p
    both = ~np.isnan(pair.first) & ~np.isnan(pair.second)
    _, documents = np.unique(pair.documents[both], return_inverse=True)
    return p_beyond(_sign(pair) * (pair.second - pair.first)[both], documents, limit, flips=flips)


def _sign(pair: Pair) -> int:
    return 1 if pair.direction == "lower" else -1


def _judge(pair: Pair, each: Comparison, limit: float, p: float) -> Finding:
    loss = _sign(pair) * each.difference + 0.0
    ends = sorted(_sign(pair) * end + 0.0 for end in (each.low, each.high) if end is not None)
    low, high = ends or (None, None)
    return Finding(
        metric=each.metric,
        first=each.first,
        second=each.second,
        max_regression=limit,
        loss=loss,
        low=low,
        high=high,
        p_holm=p,
        outcome=_outcome(each, loss, high, limit, p),
    )


def _outcome(each: Comparison, loss: float, high: float | None, limit: float, p: float) -> Outcome:
    if loss > limit and p <= SIGNIFICANT:
        return "regression"
    is_same = not each.n_better and not each.n_worse
    if high is None and each.n_documents > 1:
        high = loss  # every document differs by the same
    return "passed" if is_same or (high is not None and high <= limit) else "cannot tell"
