"""Two lists of scores of the same samples, compared."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from orchestrator.statistics.arrays import Floats, Ints
from orchestrator.statistics.intervals import clustered_means
from orchestrator.statistics.mcnemar import mcnemar
from orchestrator.statistics.permutation import FLIPS, sign_flip
from orchestrator.statistics.power import detectable

_SAME = 1e-12

Test = Literal["mcnemar", "sign_flip_exact", "sign_flip_monte_carlo", "sign_flip_normal"]


@dataclass(frozen=True, slots=True)
class Paired:
    """What a paired comparison found; `difference` is the second mean less the first, 0 where only rounding differs.

    `low`, `high` and `detectable` are None where they cannot be made: fewer than two documents, or every difference
    the same. `p_mcnemar` is there where all scores are 0 or 1.
    """

    n_samples: int
    n_documents: int
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    p: float
    test: Test
    p_mcnemar: float | None
    n_higher: int
    n_equal: int
    n_lower: int
    detectable: float | None


def compare_pairs(first: Floats, second: Floats, documents: Ints, *, flips: int = FLIPS) -> Paired | None:
    """Compare the scores of two cells, sample by sample; None where there is no sample.

    The interval of the mean difference is clustered by document. p is of `sign_flip` over the documents' sums; where
    scores are 0 or 1 and each document has one sample, that is McNemar's exact test, which is then taken.
    `documents` numbers each sample's document from 0; no score may be NaN.
    """
    if not len(first):
        return None
    differences = second - first
    means = clustered_means(differences, np.zeros(len(first), np.int64), documents, 1)
    error, n_documents = float(means.error[0]), int(means.documents[0])
    has_spread = not math.isnan(error) and error > _SAME
    higher, lower = int((differences > _SAME).sum()), int((differences < -_SAME).sum())
    is_binary = bool(np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all())
    p_mcnemar = mcnemar(higher, lower) if is_binary else None
    p, test = _test(differences, documents, n_documents, p_mcnemar, flips)
    difference = float(means.mean[0])
    return Paired(
        n_samples=len(first),
        n_documents=n_documents,
        first=float(first.mean()),
        second=float(second.mean()),
        difference=difference if abs(difference) > _SAME else 0.0,
        low=float(means.low[0]) if has_spread else None,
        high=float(means.high[0]) if has_spread else None,
        p=p,
        test=test,
        p_mcnemar=p_mcnemar,
        n_higher=higher,
        n_equal=len(first) - higher - lower,
        n_lower=lower,
        detectable=detectable(error, n_documents) if has_spread else None,
    )


def _test(
    differences: Floats, documents: Ints, n_documents: int, p_mcnemar: float | None, flips: int
) -> tuple[float, Test]:
    if p_mcnemar is not None and n_documents == len(differences):
        return p_mcnemar, "mcnemar"
    sums = np.bincount(documents, differences)
    found = sign_flip(np.where(np.abs(sums) > _SAME, sums, 0.0), flips)
    return found.p, f"sign_flip_{found.method}"  # type: ignore[return-value]  # mypy does not join literals
