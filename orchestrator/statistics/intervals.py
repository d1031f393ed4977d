"""Means with confidence intervals that know that answers about one document are alike."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from orchestrator.statistics.arrays import Floats, Ints
from orchestrator.statistics.student import CONFIDENCE, t_quantile

_ROUNDING = 1e-12
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


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
        alike = samples**2 / np.maximum(np.bincount(owners, np.bincount(members) ** 2, minlength=count), 1)
        freedom = _freedom(clustered, np.where(error > _ROUNDING, fourths / squares**2, 0), alike)
    quantiles = np.array([_quantile(each) for each in freedom.tolist()])
    if is_fraction:
        low, high = wilson(mean, error, quantiles, alike)
    else:
        low, high = mean - quantiles * error, mean + quantiles * error
    return Means(mean, error, low, high, samples, clustered)


def _freedom(documents: Ints, peaks: Floats, alike: Floats) -> Floats:
    """Return the degrees of freedom of errors; `peaks` are Σ r⁴ / (Σ r²)² of documents' sums of residuals r.

    `alike` is n² / Σ m² for m samples a document (Kish 1965): as many documents of one size would weigh as much, and
    of few large ones no more can be learned, so that there are at most one less.

    2D / (κ - (D-3)/(D-1)) with the kurtosis κ = D · peak (Satterthwaite 1946; O'Neill 2014, The American Statistician
    68:282), at most D-1, which κ = 3 of a normal distribution gives: where a few documents hold most of the errors,
    less is known of the spread than the number of documents suggests. NaN for fewer than two documents.
    """
    excess = documents * peaks - (documents - 3) / (documents - 1)
    freedom = np.where(excess > 0, 2 * documents / excess, np.inf)
    return np.where(documents > 1, np.clip(freedom, 1, np.clip(alike - 1, 1, documents - 1)), np.nan)


def _quantile(freedom: float) -> float:
    """Return the quantile of t, between whole degrees of freedom on the chord, which lies a little above it."""
    if math.isnan(freedom):
        return math.nan
    least = int(freedom)
    share = freedom - least
    return t_quantile(least) if not share else (1 - share) * t_quantile(least) + share * t_quantile(least + 1)


def wilson(mean: Floats, error: Floats, quantiles: Floats, documents: Floats) -> tuple[Floats, Floats]:
    """Return Wilson's score interval for means of fractions whose standard `error` is known.

    Wilson's (1927) formula with t for z and n* = mean (1 - mean) / SE² for n, the number of independent yes-or-no
    answers that would say as much (Dean and Pagano 2015, J. Survey Statistics and Methodology 3:484). Never wider than
    with z and as many answers as there are `documents`, n² / Σ m² for m samples each (Kish 1965): were all answers
    about a document the same, and right or wrong, so much would they say. That holds too where all scores are alike,
    and an SE of 0 says nothing: ten documents without an error are no proof.
    """
    variance = np.clip(mean * (1 - mean), 0, None)
    with np.errstate(invalid="ignore", divide="ignore"):
        worth = np.where(error > _ROUNDING, variance / error**2, np.nan)
        low, high = _score_interval(mean, variance, quantiles**2 / worth)
        least, most = _score_interval(mean, variance, _Z**2 / np.where(np.isnan(quantiles), np.nan, documents))
    low, high = np.clip(np.fmax(low, least), 0, 1), np.clip(np.fmin(high, most), 0, 1)
    return np.minimum(low, mean), np.maximum(high, mean)


def _score_interval(mean: Floats, variance: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return the interval where `weight` is the squared quantile over the number of answers."""
    centre = (mean + weight / 2) / (1 + weight)
    half = np.sqrt(weight * (variance + weight / 4)) / (1 + weight)
    return centre - half, centre + half
