"""Character error rate."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from orchestrator.metrics.metric import Floats, Measure, Measures, Metric
from orchestrator.metrics.normalise import NORM, NORM_CI, Normaliser
from orchestrator.metrics.pairs import Pairs
from orchestrator.metrics.rates import best, best_of_many, distances, error_rate, lengths


def character_errors(text: str, references: tuple[str, ...]) -> Measure:
    """Measure the edits that turn `text` into the nearest reference, per character (code point) of it.

    CER = (S + D + I) / N: Levenshtein distance over reference length (Rice, Jenkins and Nartker 1996, ISRI).
    The score is capped at 1, so that one looping answer cannot decide a mean; unit: fraction of a reference.
    """
    return best([error_rate(Levenshtein.distance(text, reference), len(reference)) for reference in references])


def character_errors_of_many(pairs: Pairs) -> Measures:
    """Measure what `character_errors` does, of many texts."""
    return best_of_many(pairs, _judge)


def _judge(texts: Sequence[str], references: Sequence[str]) -> tuple[Floats, Floats]:
    return distances(texts, references), lengths(references)


def _cer(name: str, normaliser: Normaliser, note: str) -> Metric:
    return Metric(
        name=name,
        description=f"character error rate{note}: edits / reference length, at most 1 per answer",
        unit="fraction",
        direction="lower",
        function=character_errors,
        many=character_errors_of_many,
        normaliser=normaliser,
        aggregate="ratio",
        is_default=True,
    )


CER = _cer("cer", NORM, "")
CER_CI = _cer("cer_ci", NORM_CI, " ignoring case")
