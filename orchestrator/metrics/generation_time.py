"""Time to answer."""

from orchestrator.metrics.metric import Measure, Metric


def latency(latency_s: float, references: tuple[str, ...]) -> Measure:  # noqa: ARG001 - a metric's signature
    """Return the seconds that the worker measured around the runner's call, loading not included."""
    return Measure(latency_s)


GENERATION_TIME = Metric(
    name="generation_time",
    description="seconds from request to answer in the worker, loading not included",
    unit="s",
    direction="lower",
    function=latency,
    needs_reference=False,
    reads="latency_s",
    is_default=True,
)
