"""Means with confidence intervals that know that answers about one document are alike."""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CONFIDENCE = 0.95
_SERIES_MAX = 60  # degrees of freedom up to which the exact series is summed


@dataclass(frozen=True, slots=True)
class Means:
    """For each group: the mean, the half-width of its interval, and how many samples and documents are in it.

    `mean` is NaN for a group without samples, `half_width` for one of fewer than two documents.
    """

    mean: Floats
    half_width: Floats
    samples: Ints
    documents: Ints


def clustered_means(scores: Floats, groups: Ints, documents: Ints, count: int) -> Means:
    """Return the mean of `scores` in each of `count` groups with a 95 % interval clustered by document.

    With documents c = 1..D in a group of n: SE² = (1/n²) Σ_c (Σ_{i∈c} (s_i - mean))² · D/(D-1), times the t
    quantile of D-1 degrees of freedom (Miller 2024, arXiv 2411.00640, with the usual factor D/(D-1)).
    `groups` and `documents` number from 0; all three arrays are as long as there are samples.
    """
    samples = np.bincount(groups, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(groups, scores, minlength=count) / samples
        width = int(documents.max(initial=0)) + 1
        clusters, members = np.unique(groups * width + documents, return_inverse=True)
        residuals = np.bincount(members, scores - mean[groups], minlength=len(clusters))
        owners = clusters // width
        clustered = np.bincount(owners, minlength=count)
        squares = np.bincount(owners, residuals**2, minlength=count)
        error = np.sqrt(squares / samples**2 * clustered / (clustered - 1))
    quantiles = np.array([t_quantile(int(n) - 1) if n > 1 else math.nan for n in clustered])
    return Means(mean, error * quantiles, samples, clustered)


@lru_cache(maxsize=4096)
def t_quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Return t with P(|T| <= t) = `confidence` for Student's T of `freedom` >= 1, to six digits."""
    if freedom > _SERIES_MAX:
        return _expanded(freedom, NormalDist().inv_cdf((1 + confidence) / 2))
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _central_probability(middle, freedom) < confidence else (low, middle)
    return low


def _central_probability(t: float, freedom: int) -> float:
    """Return P(|T| <= t) by the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    is_odd = freedom % 2
    term = math.cos(angle) if is_odd else 1.0
    total = 0.0
    for k in range(2 + is_odd, freedom + 1, 2):
        total += term
        term *= (k - 1) / k * math.cos(angle) ** 2
    if is_odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def _expanded(freedom: int, z: float) -> float:
    """Return the quantile by the expansion of Abramowitz and Stegun, 26.7.5, around the normal one `z`."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
