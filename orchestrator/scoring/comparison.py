"""What a comparison of two cells says, and how scores become one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from orchestrator.parsing import Frozen
from orchestrator.scoring.cell_name import CellName
from orchestrator.statistics import Floats, Ints, Paired, claims_at_most, compare_pairs, flips_for, holm
from orchestrator.statistics.pairs import Test

SIGNIFICANT = 0.05

Verdict = Literal["better", "worse", "no difference seen"]
Direction = Literal["higher", "lower"]

NONE_SEEN: Verdict = "no difference seen"


class Comparison(Frozen):
    """Two cells by one metric, paired on the samples that both have a score for.

    `difference` is the mean of `second` less that of `first` over these samples, `low` to `high` its 95 % interval,
    clustered by document. `verdict` is about `second`: a difference is claimed where `p_holm`, the p-value after Holm's
    correction over all that is claimed with it, is at most 0.05. `n_better`, `n_equal` and `n_worse` count samples by
    how the second fared; `n_left_out` are those that only one of them has a score for. `detectable` is the smallest
    true difference that this comparison finds in 80 % of cases; None also where it can find none, of too few documents.
    `p_mcnemar` takes samples for independent. What cannot be said is None, such as an interval where every difference
    is the same.
    """

    metric: str
    first: CellName
    second: CellName
    n_samples: int
    n_documents: int
    n_left_out: int
    first_mean: float
    second_mean: float
    difference: float
    low: float | None
    high: float | None
    n_better: int
    n_equal: int
    n_worse: int
    test: Test
    p: float
    p_holm: float
    p_mcnemar: float | None
    detectable: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Pair:
    """Two cells' scores of the same samples, NaN where there is none, with the numbers of the samples' documents."""

    metric: str
    direction: Direction
    names: tuple[CellName, CellName]
    first: Floats
    second: Floats
    documents: Ints
    n_left_out: int = 0


def compare(pairs: Sequence[Pair], claims: int | None = None) -> tuple[Comparison, ...]:
    """Compare each of `pairs`, with Holm's correction over all of them, or over `claims` where that is more.

    Pairs without a sample in common are left out.
    """
    total = max(len(pairs), claims or 0)
    found = [(pair, *_compare(pair, flips_for(total))) for pair in pairs]
    made = [(pair, paired, left_out) for pair, paired, left_out in found if paired is not None]
    adjusted = holm([paired.p for _, paired, _ in made], total)
    return tuple(
        _to_comparison(pair, _with_power(paired, total), left_out, p)
        for (pair, paired, left_out), p in zip(made, adjusted, strict=True)
    )


def _compare(pair: Pair, flips: int) -> tuple[Paired | None, int]:
    has_first, has_second = ~np.isnan(pair.first), ~np.isnan(pair.second)
    both = has_first & has_second
    _, documents = np.unique(pair.documents[both], return_inverse=True)
    paired = compare_pairs(pair.first[both], pair.second[both], documents, flips=flips)
    return paired, pair.n_left_out + int((has_first ^ has_second).sum())


def _with_power(paired: Paired, total: int) -> Paired:
    """Return `paired`, with nothing detectable where no difference could be significant after the correction."""
    return paired if claims_at_most(paired.n_documents) >= total else replace(paired, detectable=None)


def _to_comparison(pair: Pair, paired: Paired, n_left_out: int, p_holm: float) -> Comparison:
    is_lower_better = pair.direction == "lower"
    return Comparison(
        metric=pair.metric,
        first=pair.names[0],
        second=pair.names[1],
        n_samples=paired.n_samples,
        n_documents=paired.n_documents,
        n_left_out=n_left_out,
        first_mean=paired.first,
        second_mean=paired.second,
        difference=paired.difference,
        low=paired.low,
        high=paired.high,
        n_better=paired.n_lower if is_lower_better else paired.n_higher,
        n_equal=paired.n_equal,
        n_worse=paired.n_higher if is_lower_better else paired.n_lower,
        test=paired.test,
        p=paired.p,
        p_holm=p_holm,
        p_mcnemar=paired.p_mcnemar,
        detectable=paired.detectable,
        verdict=_verdict(paired.difference, is_lower_better=is_lower_better) if p_holm <= SIGNIFICANT else NONE_SEEN,
    )


def _verdict(difference: float, *, is_lower_better: bool) -> Verdict:
    return "better" if (difference < 0) == is_lower_better else "worse"
