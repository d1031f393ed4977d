"""Many answers at once: each with its references, as arrays of errors and weights, of several the nearest."""

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from orchestrator.metrics.metric import Floats, Measures, References

Judge = Callable[[Sequence[str], Sequence[str]], tuple[Floats, Floats]]
"""From texts and as many references to the errors and the weight of each."""


def distances(texts: Sequence[str], references: Sequence[str]) -> Floats:
    """Return the Levenshtein distance of each text to its reference, in code points."""
    found: Floats = cpdist(texts, references, scorer=Levenshtein.distance, dtype=np.float64, workers=1)
    return found


def lengths(texts: Sequence[str]) -> Floats:
    """Return the number of code points of each text."""
    return np.fromiter(map(len, texts), np.float64, len(texts))


def nearest_of(texts: Sequence[str], references: Sequence[References], judge: Judge) -> Measures:
    """Return the error rates of `texts` by `judge`, capped at 1 as by `rates.error_rate`; every text has a reference.

    Of several references that with the lowest score counts; beyond the cap, the lowest rate; of equal ones the first.
    """
    flat = list(chain.from_iterable(references))
    if len(flat) == len(texts):
        return Measures(*_rates(*judge(texts, flat))[1:])
    owners = np.repeat(np.arange(len(texts)), [len(each) for each in references])
    rates, scores, errors, weights = _rates(*judge([texts[owner] for owner in owners.tolist()], flat))
    order = np.lexsort((rates, scores, owners))
    first = order[np.searchsorted(owners, np.arange(len(texts)))]
    return Measures(scores[first], errors[first], weights[first])


def _rates(errors: Floats, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return rates and scores as well; the rate of an empty reference is the number of errors."""
    rates = errors / np.maximum(weights, 1)
    return rates, np.minimum(rates, 1), errors, weights
