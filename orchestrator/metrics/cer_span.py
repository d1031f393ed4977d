"""Character error rate of the best span: tells 'read, but verbose' from 'not read'."""

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.fuzz import partial_ratio_alignment

from orchestrator.metrics.cer import character_errors, character_errors_of_many
from orchestrator.metrics.metric import Floats, Measure, Measures, Metric
from orchestrator.metrics.normalise import NORM, NORM_CI, Normaliser
from orchestrator.metrics.pairs import Pairs
from orchestrator.metrics.rates import best, best_of_many, distances, error_rate, lengths


def span_errors(text: str, references: tuple[str, ...]) -> Measure:
    """Measure the CER of the stretch of `text` most like a reference, never above the CER of all of it.

    The stretch is rapidfuzz's `partial_ratio_alignment`, at most as long as the reference, so the figure
    may lie above that of the best stretch. A diagnostic, no target: an answer with the page in it does well,
    and a short reference is found by chance. Unit, cap and empty references as for `cer`.
    """
    return best(
        [
            error_rate(_fewest(text, reference, Levenshtein.distance(text, reference)), len(reference))
            for reference in references
        ]
    )


def span_errors_of_many(pairs: Pairs) -> Measures:
    """Measure what `span_errors` does, of many texts."""
    return best_of_many(pairs, _judge)


def verbosity(text: str, references: tuple[str, ...]) -> Measure:
    """Measure by how much the CER of `text` is above that of its best span.

    A diagnostic: what a prompt for the bare answer might save. Near 0 where the answer is bare, or not read at all.
    """
    return Measure(character_errors(text, references).score - span_errors(text, references).score)


def verbosity_of_many(pairs: Pairs) -> Measures:
    """Measure what `verbosity` does, of many texts."""
    whole, span = character_errors_of_many(pairs), span_errors_of_many(pairs)
    return Measures(whole.scores - span.scores)


def _judge(texts: Sequence[str], references: Sequence[str]) -> tuple[Floats, Floats]:
    errors, sizes = distances(texts, references), lengths(references)
    for row in np.flatnonzero((errors > 0) & (sizes > 0) & (lengths(texts) > sizes)).tolist():
        errors[row] = _fewest(texts[row], references[row], errors[row])
    return errors, sizes


def _fewest(text: str, reference: str, whole: int) -> int:
    """Return the edits of the best span; `whole` are those of all of `text`."""
    if not reference or len(text) <= len(reference):
        return whole
    span = partial_ratio_alignment(reference, text)
    return min(whole, Levenshtein.distance(text[span.dest_start : span.dest_end], reference)) if span else whole


def _cer_span(name: str, normaliser: Normaliser, note: str) -> Metric:
    return Metric(
        name=name,
        description=f"cer{note} of the answer's part most like a reference: low beside a high cer is read, but verbose",
        unit="fraction",
        direction="lower",
        function=span_errors,
        many=span_errors_of_many,
        normaliser=normaliser,
        is_default=True,
    )


CER_SPAN = _cer_span("cer_span", NORM, "")
CER_SPAN_CI = _cer_span("cer_span_ci", NORM_CI, " ignoring case")
VERBOSITY_GAP = Metric(
    name="verbosity_gap",
    description="cer less cer_span: what an answer loses by saying more than was asked",
    unit="fraction",
    direction="lower",
    function=verbosity,
    many=verbosity_of_many,
    normaliser=NORM,
)
