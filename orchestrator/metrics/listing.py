"""The metrics beyond plain text: those there are, and those made by an option behind their name."""

from collections.abc import Callable, Mapping

from orchestrator.metrics.anls_star import ANLS_STAR
from orchestrator.metrics.boxes import MAKERS as BOXES
from orchestrator.metrics.dates import make_date
from orchestrator.metrics.json_fields import JSON_VALID
from orchestrator.metrics.json_fields import MAKERS as JSON_FIELDS
from orchestrator.metrics.labels import ACCURACY
from orchestrator.metrics.metric import Metric
from orchestrator.metrics.numbers import make_number
from orchestrator.metrics.operation import (
    COST,
    ERROR_RATE,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REFUSAL_RATE,
    TRUNCATION_RATE,
)
from orchestrator.metrics.tags import MAKERS as TAGS

MAKERS: Mapping[str, Callable[[str], Metric]] = {
    "number": make_number,
    "date": make_date,
    **JSON_FIELDS,
    **TAGS,
    **BOXES,
}
"""By name what makes the metric of the option behind its @; of an empty one, the metric without."""

STRUCTURE = (ANLS_STAR, *(make("") for make in MAKERS.values()), JSON_VALID, ACCURACY)
OPERATION = (INPUT_TOKENS, OUTPUT_TOKENS, COST, REFUSAL_RATE, TRUNCATION_RATE, ERROR_RATE)
