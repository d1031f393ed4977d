"""What a metric is: a function with a name, a unit, a direction and a declared normaliser."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from orchestrator.metrics.normalise import Normaliser


class Measure(NamedTuple):
    """One answer's figure; `errors` and `weight` are there where a corpus figure is made of them."""

    score: float
    errors: float | None = None
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure for one answer, and how many of them become one.

    `function` gets the prediction's column `reads` and the references, both normalised where a normaliser is
    declared. The mean of the scores is always made; `aggregate` names a second figure over all answers:
    `ratio` is the sum of `errors` over the sum of `weight`.
    """

    name: str
    description: str
    unit: str
    direction: Literal["higher", "lower"]
    function: Callable[[Any, tuple[str, ...]], Measure]
    needs_reference: bool = True
    normaliser: Normaliser | None = None
    aggregate: Literal["ratio"] | None = None
    reads: str = "text"

    def measure(self, value: Any, references: tuple[str, ...]) -> Measure:
        """Return the figure of one answer; `references` must not be empty where `needs_reference`."""
        if self.normaliser is None:
            return self.function(value, references)
        normalise = self.normaliser.function
        return self.function(normalise(value), tuple(map(normalise, references)))
