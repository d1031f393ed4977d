"""Normalised edit distance, and the similarity made of it."""

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from orchestrator.metrics.metric import Floats, Measure, Measures, Metric
from orchestrator.metrics.normalise import NORM, SPACES_CI
from orchestrator.metrics.pairs import Pairs
from orchestrator.metrics.rates import best, best_of_many, distances, error_rate, lengths

THRESHOLD = 0.5


def edit_distance(text: str, references: tuple[str, ...]) -> Measure:
    """Measure the edits between `text` and the nearest reference, per character of the longer of the two.

    NED = Levenshtein distance / max(|text|, |reference|), in code points, as in the reading tasks of ICDAR's Robust
    Reading Competitions (LSVT and ReCTS 2019, which rank by 1 - NED). At most 1 without a cap.
    """
    return best([_distance(text, reference) for reference in references])


def edit_distances(pairs: Pairs) -> Measures:
    """Measure what `edit_distance` does, of many texts."""
    return best_of_many(pairs, _judge)


def similarity(text: str, references: tuple[str, ...]) -> Measure:
    """Measure the similarity 1 - NED of `text` and the nearest reference, 0 where it is below 0.5.

    ANLS is its mean: average normalised Levenshtein similarity (Biten et al. 2019, arXiv 1905.13648). The paper drops
    a similarity of just 0.5, the competition's own script and all that follow it keep it, as is done here.
    """
    return Measure(float(_kept(edit_distance(text, references).score)))


def similarities(pairs: Pairs) -> Measures:
    """Measure what `similarity` does, of many texts."""
    return Measures(_kept(edit_distances(pairs).scores))


def _distance(text: str, reference: str) -> Measure:
    return error_rate(Levenshtein.distance(text, reference), max(len(text), len(reference)))


def _judge(texts: Sequence[str], references: Sequence[str]) -> tuple[Floats, Floats]:
    return distances(texts, references), np.maximum(lengths(texts), lengths(references))


def _kept(distance: Floats | float) -> Floats:
    return np.where(np.subtract(1, distance) >= THRESHOLD, np.subtract(1, distance), 0.0)


NED = Metric(
    name="ned",
    description="normalised edit distance: edits / length of the longer, answer or reference",
    unit="fraction",
    direction="lower",
    function=edit_distance,
    many=edit_distances,
    normaliser=NORM,
    aggregate="ratio",
)
ANLS = Metric(
    name="anls",
    description="average normalised Levenshtein similarity: 1 - ned ignoring case, 0 where that is below 0.5",
    unit="fraction",
    direction="higher",
    function=similarity,
    many=similarities,
    normaliser=SPACES_CI,
)
