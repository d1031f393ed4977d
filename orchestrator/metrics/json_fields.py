"""Fields of a JSON object: which were read right, which are missing, which were invented."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from orchestrator.metrics.json_text import change_json, normalise_parts, read_json
from orchestrator.metrics.metric import Measure, Metric
from orchestrator.metrics.normalise import NORM, Normaliser, extend
from orchestrator.metrics.rates import error_rate
from orchestrator.metrics.readings import UNREADABLE_REFERENCE

INVALID_JSON, NO_OBJECT = "invalid_json", "no_object"
Path = tuple[str, ...]
Fields = Counter[tuple[Path, str]]


def field_f1(text: str, references: tuple[str, ...]) -> Measure | str:
    """Return the F1 of the fields of the JSON object `text` against those of the reference, from 0 to 1.

    A field is a path of names and its value; items of a list share their path and may come in any order, as often as
    they do. A value is right where it equals the reference's; nothing is the same as null, "", {} or []. F1 = 2 TP /
    (2 TP + FP + FN), as Kim et al. 2022 (Donut, arXiv 2111.15664) score extraction. Pooled over all answers besides.
    """
    return _compare(text, references, _f1)


def missing_fields(text: str, references: tuple[str, ...]) -> Measure | str:
    """Return the share of the reference's fields whose path is not in the answer, whatever their value."""
    return _compare(text, references, lambda answer, expected: _surplus(expected, answer))


def invented_fields(text: str, references: tuple[str, ...]) -> Measure | str:
    """Return the share of the answer's fields whose path is not in the reference, whatever their value."""
    return _compare(text, references, _surplus)


def valid_json(text: str, references: tuple[str, ...]) -> Measure:  # noqa: ARG001 - a metric's signature
    """Return 1 where all of `text` is a JSON object or list (RFC 8259), else 0."""
    try:
        return Measure(1.0 if isinstance(read_json(text), dict | list) else 0.0)
    except ValueError:
        return Measure(0.0)


def _compare(text: str, references: Sequence[str], measure: Callable[[Fields, Fields], Measure]) -> Measure | str:
    expected = [fields for reference in references if isinstance(fields := _read_fields(reference), Counter)]
    if not expected:
        return UNREADABLE_REFERENCE
    answer = _read_fields(text)
    if isinstance(answer, str):
        return answer
    nearest = max(expected, key=lambda one: _f1(answer, one).score)
    return measure(answer, nearest)


def _read_fields(text: str) -> Fields | str:
    try:
        value = read_json(text)
    except ValueError:
        return INVALID_JSON
    return Counter(_walk(value)) if isinstance(value, dict) else NO_OBJECT


def _walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, path)
    elif value:
        yield path, value


def _f1(answer: Fields, expected: Fields) -> Measure:
    hits = (answer & expected).total()
    weight = answer.total() + expected.total()
    errors = weight - 2 * hits
    return Measure(1 - errors / weight if weight else 1.0, errors, weight)


def _surplus(fields: Fields, others: Fields) -> Measure:
    paths, known = (Counter(path for path, _ in each.elements()) for each in (fields, others))
    return error_rate((paths - known).total(), paths.total())


def _fields(
    name: str, description: str, function: Callable[..., Measure | str], *, is_error: bool = True
) -> Callable[[str], Metric]:
    def make(option: str) -> Metric:
        normaliser: Normaliser = extend(NORM, option.split("+")) if option else NORM
        return Metric(
            name=f"{name}@{option}" if option else name,
            description=description,
            unit="fraction",
            direction="lower" if is_error else "higher",
            function=function,
            normaliser=normalise_parts(normaliser, "json", change_json),
            aggregate="ratio" if is_error else "f1",
        )

    return make


MAKERS = {
    "field_f1": _fields("field_f1", "F1 of the fields of a JSON object, each right or wrong", field_f1, is_error=False),
    "field_missing": _fields("field_missing", "share of the reference's JSON fields that are missing", missing_fields),
    "field_invented": _fields(
        "field_invented", "share of the answer's JSON fields that nobody asked for", invented_fields
    ),
}
JSON_VALID = Metric(
    name="json_valid",
    description="share of answers that are a JSON object or list",
    unit="fraction",
    direction="higher",
    function=valid_json,
    needs_reference=False,
)
