"""Word error rate."""

from rapidfuzz.distance import Levenshtein

from orchestrator.metrics.metric import Measure, Metric
from orchestrator.metrics.normalise import NORM
from orchestrator.metrics.rates import best, error_rate


def word_errors(text: str, references: tuple[str, ...]) -> Measure:
    """Measure the word edits that turn `text` into the nearest reference, per word of it.

    WER = (S + D + I) / N over words split at spaces (Morris, Maier and Green 2004); punctuation
    belongs to its word. The score is capped at 1; unit: fraction of the reference's words.
    """
    words = text.split()
    return best([_word_errors(words, reference.split()) for reference in references])


def _word_errors(words: list[str], expected: list[str]) -> Measure:
    return error_rate(Levenshtein.distance(words, expected), len(expected))


WER = Metric(
    name="wer",
    description="word error rate: word edits / reference words, at most 1 per answer",
    unit="fraction",
    direction="lower",
    function=word_errors,
    normaliser=NORM,
    aggregate="ratio",
    is_default=True,
)
