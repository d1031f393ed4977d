"""Errors per unit of a reference, with one rule for the cap and one for an empty reference."""

from collections.abc import Callable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from orchestrator.metrics.metric import Floats, Measure, Measures
from orchestrator.metrics.pairs import Pairs

Judge = Callable[[Sequence[str], Sequence[str]], tuple[Floats, Floats]]
"""From texts and as many references to the errors and the weight of each."""


def error_rate(errors: int, weight: int) -> Measure:
    """Return errors / weight as a score of at most 1, with both kept for a corpus figure.

    Where the reference is empty (`weight` 0), an empty answer scores 0 and any other 1; the corpus figure
    counts its errors all the same, as jiwer does.
    """
    if weight:
        return Measure(min(1.0, errors / weight), errors, weight)
    return Measure(1.0 if errors else 0.0, errors, weight)


def best(measures: Sequence[Measure]) -> Measure:
    """Return the one of several references' measures with the lowest score; beyond the cap, the lowest rate."""
    return measures[0] if len(measures) == 1 else min(measures, key=_rate)


def _rate(measure: Measure) -> tuple[float, float]:
    return measure.score, (measure.errors or 0) / (measure.weight or 1)


def best_of_many(pairs: Pairs, judge: Judge) -> Measures:
    """Return what `best` and `error_rate` make of the errors that `judge` finds; every text has a reference."""
    errors, weights = judge(pairs.aligned(), pairs.references)
    rates = errors / np.maximum(weights, 1)
    scores = np.minimum(rates, 1)
    if pairs.owners is None:
        return Measures(scores, errors, weights)
    order = np.lexsort((rates, scores, pairs.owners))
    first = order[np.searchsorted(pairs.owners, np.arange(len(pairs.values)))]
    return Measures(scores[first], errors[first], weights[first])


def distances(texts: Sequence[str], references: Sequence[str]) -> Floats:
    """Return the Levenshtein distance of each text to its reference, in code points."""
    found: Floats = cpdist(texts, references, scorer=Levenshtein.distance, dtype=np.float64, workers=1)
    return found


def lengths(texts: Sequence[str]) -> Floats:
    """Return the number of code points of each text."""
    return np.fromiter(map(len, texts), np.float64, len(texts))
