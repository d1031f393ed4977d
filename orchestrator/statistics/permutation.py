"""The sign-flip permutation test of a paired difference."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.statistics.arrays import Floats

FLIPS = 9_999
EXACT_DOCUMENTS = 16  # 65,536 ways to sign them
NORMAL_DOCUMENTS = 10_000
_ENOUGH = 500  # exceedances after which more flips would not tell more
_TOLERANCE = 1e-9  # sums equal but for rounding count as equal

Method = Literal["exact", "monte_carlo", "normal"]


@dataclass(frozen=True, slots=True)
class SignFlip:
    """A two-sided p-value and how it was found."""

    p: float
    method: Method


def flips_for(claims: int) -> int:
    """Return how many flips can show significance after Holm among `claims`: the least p is 1 / (flips + 1)."""
    return max(FLIPS, 40 * claims)


def sign_flip(sums: Floats, flips: int = FLIPS, seed: int = 0) -> SignFlip:
    """Test that `sums`, one a document, are as likely negative as positive: P(|Σ ± sums| >= |Σ sums|).

    A document is flipped as a whole, so that what its answers share is no evidence; sums, and not means, so that the
    statistic is the difference that is shown. All 2^D signs are tried for D <= 16 documents that differ; else random
    ones with the +1 correction (Phipson and Smyth 2010), which stop early where the 500th exceedance came (Besag and
    Clifford 1991, p = 500 / tried). Beyond 10,000 documents the limit of the same distribution is taken, the normal
    one of variance Σ sums². The same input gives the same p.
    """
    sums = sums[sums != 0]
    observed = abs(float(sums.sum()))
    reach = observed - _TOLERANCE * max(observed, float(np.abs(sums).max(initial=0)))
    if len(sums) <= EXACT_DOCUMENTS:
        return SignFlip(float(np.mean(np.abs(_all_signed(sums)) >= reach)), "exact")
    if len(sums) > NORMAL_DOCUMENTS:
        z = observed / math.sqrt(float(sums @ sums))
        return SignFlip(min(1.0, 2 * NormalDist().cdf(-z)), "normal")
    return SignFlip(_monte_carlo(sums, reach, flips, seed), "monte_carlo")


def _all_signed(sums: Floats) -> Floats:
    """Return Σ ± sums for every choice of signs."""
    signed = np.zeros(1)
    for value in sums.tolist():
        signed = np.concatenate([signed + value, signed - value])
    return signed


def _monte_carlo(sums: Floats, reach: float, flips: int, seed: int) -> float:
    random = np.random.default_rng(seed)
    tables = [_all_signed(sums[start : start + 8]) for start in range(0, len(sums), 8)]
    reached, tried = 0, 0
    while tried < flips:
        exceeds = _signed_sums(tables, min(1000, flips - tried), random) >= reach
        if reached + int(exceeds.sum()) >= _ENOUGH:
            return _ENOUGH / (tried + 1 + int(np.flatnonzero(exceeds)[_ENOUGH - reached - 1]))
        reached += int(exceeds.sum())
        tried += len(exceeds)
    return (reached + 1) / (tried + 1)


def _signed_sums(tables: list[Floats], count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return |Σ ± sums| for `count` random choices of signs: a byte signs the eight documents of a table."""
    totals = np.zeros(count)
    for table in tables:
        totals += table[random.integers(len(table), size=count)]
    return np.abs(totals)
