"""Errors per unit of a reference, with one rule for the cap and one for an empty reference."""

from collections.abc import Sequence

from orchestrator.metrics.metric import Measure


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
