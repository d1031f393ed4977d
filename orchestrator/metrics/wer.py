"""Word error rate."""

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from orchestrator.metrics.metric import Floats, Measure, Measures, Metric
from orchestrator.metrics.normalise import NORM
from orchestrator.metrics.pairs import Pairs
from orchestrator.metrics.rates import best, best_of_many, error_rate


def word_errors(text: str, references: tuple[str, ...]) -> Measure:
    """Measure the word edits that turn `text` into the nearest reference, per word of it.

    WER = (S + D + I) / N over words split at spaces (Morris, Maier and Green 2004); punctuation
    belongs to its word. The score is capped at 1; unit: fraction of the reference's words.
    """
    return best([error_rate(*_errors(text, reference)) for reference in references])


def word_errors_of_many(pairs: Pairs) -> Measures:
    """Measure what `word_errors` does, of many texts."""
    return best_of_many(pairs, _judge)


def _judge(texts: Sequence[str], references: Sequence[str]) -> tuple[Floats, Floats]:
    pairs = np.array(list(map(_errors, texts, references)), np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _errors(text: str, reference: str) -> tuple[int, int]:
    expected = reference.split()
    return 0 if text == reference else Levenshtein.distance(text.split(), expected), len(expected)


WER = Metric(
    name="wer",
    description="word error rate: word edits / reference words, at most 1 per answer",
    unit="fraction",
    direction="lower",
    function=word_errors,
    many=word_errors_of_many,
    normaliser=NORM,
    aggregate="ratio",
    is_default=True,
)
