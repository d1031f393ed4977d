"""The one listing of metrics."""

from collections.abc import Sequence

from orchestrator.errors import UsageError, nearest
from orchestrator.metrics.cer import CER, CER_CI
from orchestrator.metrics.cer_span import CER_SPAN, CER_SPAN_CI
from orchestrator.metrics.exact import EXACT, EXACT_CI
from orchestrator.metrics.generation_time import GENERATION_TIME
from orchestrator.metrics.metric import Measure, Metric
from orchestrator.metrics.output_length import OUTPUT_LENGTH
from orchestrator.metrics.wer import WER

__all__ = ["METRICS", "Measure", "Metric", "select_metrics"]

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (EXACT, CER, CER_SPAN, WER, EXACT_CI, CER_CI, CER_SPAN_CI, OUTPUT_LENGTH, GENERATION_TIME)
}


def select_metrics(names: Sequence[str] | None = None) -> tuple[Metric, ...]:
    """Return the metrics called `names` (default: all) in listing order; raise UsageError for an unknown."""
    for name in names or ():
        if name not in METRICS:
            raise UsageError(f"there is no metric '{name}'{nearest(name, METRICS)} (`bakeoff list metrics` shows all)")
    return tuple(metric for metric in METRICS.values() if not names or metric.name in names)
