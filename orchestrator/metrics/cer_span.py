"""Character error rate of the best span: tells 'read, but verbose' from 'not read'."""

from rapidfuzz.distance import Levenshtein
from rapidfuzz.fuzz import partial_ratio_alignment

from orchestrator.metrics.metric import Measure, Metric
from orchestrator.metrics.normalise import NORM, NORM_CI, Normaliser
from orchestrator.metrics.rates import best, error_rate


def span_errors(text: str, references: tuple[str, ...]) -> Measure:
    """Measure the CER of the stretch of `text` most like a reference, never above the CER of all of it.

    The stretch is rapidfuzz's `partial_ratio_alignment`, at most as long as the reference, so the figure
    may lie above that of the best stretch. A diagnostic, no target: an answer with the page in it does well,
    and a short reference is found by chance. Unit, cap and empty references as for `cer`.
    """
    return best([_span_errors(text, reference) for reference in references])


def _span_errors(text: str, reference: str) -> Measure:
    whole = Levenshtein.distance(text, reference)
    if not reference or len(text) <= len(reference):
        return error_rate(whole, len(reference))
    span = partial_ratio_alignment(reference, text)
    part = Levenshtein.distance(text[span.dest_start : span.dest_end], reference) if span else whole
    return error_rate(min(whole, part), len(reference))


def _cer_span(name: str, normaliser: Normaliser, note: str) -> Metric:
    return Metric(
        name=name,
        description=f"cer{note} of the answer's part most like a reference: low beside a high cer is read, but verbose",
        unit="fraction",
        direction="lower",
        function=span_errors,
        normaliser=normaliser,
        is_default=True,
    )


CER_SPAN = _cer_span("cer_span", NORM, "")
CER_SPAN_CI = _cer_span("cer_span_ci", NORM_CI, " ignoring case")
