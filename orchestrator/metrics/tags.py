"""Sets of tags: precision, recall and F1."""

from collections.abc import Callable

from orchestrator.errors import UsageError, nearest
from orchestrator.metrics.json_text import change_json, normalise_parts, read_json
from orchestrator.metrics.metric import Measure, Metric
from orchestrator.metrics.normalise import NORM_CI, STEPS, extend
from orchestrator.metrics.readings import UNREADABLE_REFERENCE

COMMA = "comma"
INVALID_JSON, NO_LIST = "invalid_json", "no_list"
Tags = frozenset[str]
Read = Callable[[str], Tags | str]
Judge = Callable[[Tags, Tags], Measure]


def precision(answer: Tags, expected: Tags) -> Measure:
    """Return the share of the answer's tags that are right; of an answer without any, 1 where there are none."""
    return _share(len(answer & expected), len(answer), is_right=not expected)


def recall(answer: Tags, expected: Tags) -> Measure:
    """Return the share of the right tags that the answer has; where there are none, 1 for an answer without any."""
    return _share(len(answer & expected), len(expected), is_right=not answer)


def f1(answer: Tags, expected: Tags) -> Measure:
    """Return 2 TP / (2 TP + FP + FN), the harmonic mean of both; 1 where there are no tags on either side."""
    errors, weight = len(answer ^ expected), len(answer) + len(expected)
    return Measure(1 - errors / weight if weight else 1.0, errors, weight)


def read_json_tags(text: str) -> Tags | str:
    """Return the tags of a JSON list of texts, or why there are none; empty ones and doubles do not count."""
    try:
        value = read_json(text)
    except ValueError:
        return INVALID_JSON
    if not isinstance(value, list) or any(isinstance(tag, dict | list) for tag in value):
        return NO_LIST
    return frozenset(filter(None, value))


def read_comma_tags(text: str) -> Tags | str:
    """Return the tags between commas, semicolons or line ends; empty ones and doubles do not count."""
    return frozenset(tag.strip() for tag in _split(text)) - {""}


def _split(text: str) -> list[str]:
    return text.replace(";", ",").replace("\n", ",").split(",")


def _change_comma(text: str, change: Callable[[str], str]) -> str:
    return ",".join(change(tag.strip()).replace(",", " ") for tag in _split(text))


def _share(hits: int, weight: int, *, is_right: bool) -> Measure:
    return Measure(hits / weight if weight else float(is_right), hits, weight)


def _compare(read: Read, judge: Judge) -> Callable[[str, tuple[str, ...]], Measure | str]:
    def function(text: str, references: tuple[str, ...]) -> Measure | str:
        expected = [tags for reference in references if isinstance(tags := read(reference), frozenset)]
        if not expected:
            return UNREADABLE_REFERENCE
        answer = read(text)
        if isinstance(answer, str):
            return answer
        return judge(answer, max(expected, key=lambda tags: f1(answer, tags).score))

    return function


def _tags(name: str, description: str, judge: Judge) -> Callable[[str], Metric]:
    def make(option: str) -> Metric:
        steps = option.split("+") if option else []
        has_commas = COMMA in steps
        more = [step for step in steps if step != COMMA]
        for step in more:
            if step not in STEPS and step != "raw":
                known = nearest(step, [COMMA, "raw", *STEPS])
                raise UsageError(f"'{name}@{option}': there is no option or normaliser '{step}'{known}")
        normaliser = extend(NORM_CI, more) if more else NORM_CI
        return Metric(
            name=f"{name}@{option}" if option else name,
            description=f"{description}; a {'comma-separated' if has_commas else 'JSON'} list, case ignored",
            unit="fraction",
            direction="higher",
            function=_compare(read_comma_tags if has_commas else read_json_tags, judge),
            normaliser=normalise_parts(normaliser, COMMA, _change_comma)
            if has_commas
            else normalise_parts(normaliser, "json", change_json),
            aggregate="f1" if judge is f1 else "ratio",
        )

    return make


MAKERS = {
    "tag_precision": _tags("tag_precision", "share of an answer's tags that are right", precision),
    "tag_recall": _tags("tag_recall", "share of the right tags that an answer has", recall),
    "tag_f1": _tags("tag_f1", "F1 of an answer's set of tags", f1),
}
