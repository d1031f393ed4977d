"""Means with confidence intervals that know that answers about one document are alike."""

import math
from dataclasses import dataclass

import numpy as np

from orchestrator.statistics.arrays import Floats, Ints
from orchestrator.statistics.student import t_quantile

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Means:
    """For each group: the mean, its standard error, its 95 % interval, and how many samples and documents are in it.

    `mean` is NaN for a group without samples; `error`, `low` and `high` for one of fewer than two documents.
    """

    mean: Floats
    error: Floats
    low: Floats
    high: Floats
    samples: Ints
    documents: Ints


def clustered_means(scores: Floats, groups: Ints, documents: Ints, count: int, *, is_fraction: bool = False) -> Means:
    """Return the mean of `scores` in each of `count` groups with a 95 % interval clustered by document.

    With documents c = 1..D in a group of n: SE² = (1/n²) Σ_c (Σ_{i∈c} (s_i - mean))² · D/(D-1) (Miller 2024,
    arXiv 2411.00640, with the usual factor D/(D-1)). The interval is mean ± t·SE, t the quantile of as many degrees
    of freedom as `_freedom` finds; for scores within [0, 1] (`is_fraction`) that of `wilson`, which stays in them.
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
        squares = np.bincount(owners, residuals**2, minlength=count).astype(np.float64)
        error = np.sqrt(squares / samples**2 * clustered / (clustered - 1))
        fourths = np.bincount(owners, residuals**4, minlength=count)
        freedom = _freedom(clustered, np.where(error > _ROUNDING, fourths / squares**2, 0))
    quantiles = np.array([_quantile(each) for each in freedom.tolist()])
    if is_fraction:
        low, high = wilson(mean, error, clustered, quantiles)
    else:
        low, high = mean - quantiles * error, mean + quantiles * error
    return Means(mean, error, low, high, samples, clustered)


def _freedom(documents: Ints, peaks: Floats) -> Floats:
    """Return the degrees of freedom of errors; `peaks` are Σ r⁴ / (Σ r²)² of documents' sums of residuals r.

    2D / (κ - (D-3)/(D-1)) with the kurtosis κ = D · peak (Satterthwaite 1946; O'Neill 2014, The American Statistician
    68:282), at most D-1, which κ = 3 of a normal distribution gives: where a few documents hold most of the errors,
    less is known of the spread than the number of documents suggests. NaN for fewer than two documents.
    """
    excess = documents * peaks - (documents - 3) / (documents - 1)
    freedom = np.where(excess > 0, 2 * documents / excess, np.inf)
    return np.where(documents > 1, np.clip(freedom, 1, documents - 1), np.nan)


def _quantile(freedom: float) -> float:
    """Return the quantile of t, between whole degrees of freedom on the chord, which lies a little above it."""
    if math.isnan(freedom):
        return math.nan
    least = int(freedom)
    share = freedom - least
    return t_quantile(least) if not share else (1 - share) * t_quantile(least) + share * t_quantile(least + 1)


def wilson(mean: Floats, error: Floats, documents: Ints, quantiles: Floats) -> tuple[Floats, Floats]:
    """Return Wilson's score interval for means of fractions whose standard `error` is known.

    Wilson's (1927) formula with t for z and n* = mean (1 - mean) / SE² for n, the number of independent yes-or-no
    answers that would say as much (Dean and Pagano 2015, J. Survey Statistics and Methodology 3:484). Where all scores
    are alike (SE is 0, up to rounding) n* is the number of documents: ten documents without an error are no proof.
    """
    variance = np.clip(mean * (1 - mean), 0, None)
    with np.errstate(invalid="ignore", divide="ignore"):
        effective = np.where(error > _ROUNDING, variance / error**2, documents)
        effective = np.where(effective > 0, effective, documents)  # rounding of a mean of 0 or 1
        weight = quantiles**2 / effective
        centre = (mean + weight / 2) / (1 + weight)
        half = np.sqrt(weight * (variance + weight / 4)) / (1 + weight)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
