"""Time to answer."""

import numpy as np

from orchestrator.metrics.metric import Measure, Measures, Metric
from orchestrator.metrics.pairs import Pairs


def latency(latency_s: float, references: tuple[str, ...]) -> Measure:  # noqa: ARG001 - a metric's signature
    """Return the seconds that the worker measured around the runner's call, loading not included."""
    return Measure(latency_s)


def latencies(pairs: Pairs) -> Measures:
    """Measure what `latency` does, of many."""
    return Measures(np.array(pairs.values, np.float64))


GENERATION_TIME = Metric(
    name="generation_time",
    description="seconds from request to answer in the worker, loading not included",
    unit="s",
    direction="lower",
    function=latency,
    many=latencies,
    needs_reference=False,
    reads="latency_s",
    is_default=True,
)
