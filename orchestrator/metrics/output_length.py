"""Length of the answer."""

from orchestrator.metrics.metric import Measure, Metric


def characters(text: str, references: tuple[str, ...]) -> Measure:  # noqa: ARG001 - a metric's signature
    """Return the number of characters (code points) of the answer as it came; unit: characters."""
    return Measure(float(len(text)))


OUTPUT_LENGTH = Metric(
    name="output_length",
    description="characters of the answer as it came",
    unit="characters",
    direction="lower",
    function=characters,
    needs_reference=False,
    is_raw=True,
    is_default=True,
)
