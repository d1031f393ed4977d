"""Character error rate."""

from rapidfuzz.distance import Levenshtein

from orchestrator.metrics.metric import Measure, Metric
from orchestrator.metrics.normalise import NORM, NORM_CI, Normaliser
from orchestrator.metrics.rates import best, error_rate


def character_errors(text: str, references: tuple[str, ...]) -> Measure:
    """Measure the edits that turn `text` into the nearest reference, per character (code point) of it.

    CER = (S + D + I) / N: Levenshtein distance over reference length (Rice, Jenkins and Nartker 1996, ISRI).
    The score is capped at 1, so that one looping answer cannot decide a mean; unit: fraction of a reference.
    """
    return best([error_rate(Levenshtein.distance(text, reference), len(reference)) for reference in references])


def _cer(name: str, normaliser: Normaliser, note: str) -> Metric:
    return Metric(
        name=name,
        description=f"character error rate{note}: edits / reference length, at most 1 per answer",
        unit="fraction",
        direction="lower",
        function=character_errors,
        normaliser=normaliser,
        aggregate="ratio",
        is_default=True,
    )


CER = _cer("cer", NORM, "")
CER_CI = _cer("cer_ci", NORM_CI, " ignoring case")
