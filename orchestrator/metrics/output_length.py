"""Length of the answer."""

from orchestrator.metrics.metric import Measure, Measures, Metric
from orchestrator.metrics.pairs import Pairs
from orchestrator.metrics.rates import lengths


def characters(text: str, references: tuple[str, ...]) -> Measure:  # noqa: ARG001 - a metric's signature
    """Return the number of characters (code points) of the answer as it came; unit: characters."""
    return Measure(float(len(text)))


def characters_of_many(pairs: Pairs) -> Measures:
    """Measure what `characters` does, of many texts."""
    return Measures(lengths(pairs.values))


OUTPUT_LENGTH = Metric(
    name="output_length",
    description="characters of the answer as it came",
    unit="characters",
    direction="lower",
    function=characters,
    many=characters_of_many,
    needs_reference=False,
    is_raw=True,
    is_default=True,
)
