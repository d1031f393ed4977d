"""Exact match."""

import operator

import numpy as np

from orchestrator.metrics.metric import Measure, Measures, Metric
from orchestrator.metrics.normalise import NORM, NORM_CI, Normaliser
from orchestrator.metrics.pairs import Pairs


def exact_match(text: str, references: tuple[str, ...]) -> Measure:
    """Return 1 where `text` equals a reference, else 0 (SQuAD's exact match, no letters folded)."""
    return Measure(1.0 if text in references else 0.0)


def exact_matches(pairs: Pairs) -> Measures:
    """Measure what `exact_match` does, of many texts."""
    equal = np.fromiter(map(operator.eq, pairs.aligned(), pairs.references), np.float64, len(pairs.references))
    if pairs.owners is None:
        return Measures(equal)
    return Measures(np.minimum(np.bincount(pairs.owners, equal, len(pairs.values)), 1))


def _exact(name: str, normaliser: Normaliser, note: str) -> Metric:
    return Metric(
        name=name,
        description=f"share of answers equal to a reference{note}",
        unit="fraction",
        direction="higher",
        function=exact_match,
        many=exact_matches,
        normaliser=normaliser,
        is_default=True,
    )


EXACT = _exact("exact", NORM, "")
EXACT_CI = _exact("exact_ci", NORM_CI, " ignoring case")
