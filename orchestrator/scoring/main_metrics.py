"""The metrics that cells are compared by, of all that were computed."""

from collections.abc import Sequence

from orchestrator.metrics import Metric

_MAIN = ("exact", "cer")
_DIAGNOSES = ("cer_span", "verbosity_gap")
FEW = 3


def main_metrics(metrics: Sequence[Metric]) -> list[Metric]:
    """Return what decides between cells: of a few metrics all but diagnoses, of many `exact` and `cer`.

    Each metric more makes every claim harder to show, since Holm's correction is over all of them. Where neither is
    there, the first three that need a reference, or the first three.
    """
    reading = [each for each in metrics if each.needs_reference and not each.name.startswith(_DIAGNOSES)]
    if len(metrics) <= FEW:
        return reading or list(metrics)
    return [each for each in reading if each.name in _MAIN] or reading[:FEW] or list(metrics[:FEW])
