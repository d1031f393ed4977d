"""JSON in answers and references: read strictly, numbers as they are written, and normalised text by text."""

import json
from collections.abc import Callable
from typing import Any, NoReturn

from orchestrator.metrics.normalise import Normaliser, Step

DEPTH_MAX = 32


class Literal(str):
    """A number or truth value of JSON, as it is written."""

    __slots__ = ()


_BOOLS = {True: Literal("true"), False: Literal("false")}


def read_json(text: str) -> Any:
    """Return what `text` is in JSON, with every number and truth value as its text; raise ValueError where it is none.

    `00123` and NaN are no JSON; what is nested deeper than 32 levels is taken for none.
    """
    try:
        return _plain(json.loads(text, parse_int=Literal, parse_float=Literal, parse_constant=_refuse), DEPTH_MAX)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(value: Any) -> str:
    """Return what `read_json` gave as JSON, numbers and truth values as they were."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {write_json(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(write_json, value))}]"
    return str(value) if isinstance(value, Literal) else json.dumps(value, ensure_ascii=False)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _same(text: str) -> str:
    return text


def _plain(value: Any, depth: int, change: Callable[[str], str] = _same) -> Any:
    if depth < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {key: _plain(inner, depth - 1, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, depth - 1, change) for inner in value]
    return None if value is None else change(_BOOLS[value] if isinstance(value, bool) else value)


def normalise_parts(
    normaliser: Normaliser, kind: str, change: Callable[[str, Callable[[str], str]], str]
) -> Normaliser:
    """Return `normaliser` applied to the parts of a text, in which `change(text, step)` changes each of them.

    Its label says so, as `json.norm_v1` does.
    """

    def of_parts(step: Step) -> Step:
        def function(text: str, *script: Any) -> str:
            return change(text, lambda part: step.function(part, *script))

        return Step(
            f"{kind}.{step.name}", step.version, f"{step.description}, of each part", function, step.needs_script
        )

    return Normaliser(tuple(map(of_parts, normaliser.steps)))


def change_json(text: str, change: Callable[[str], str]) -> str:
    """Return JSON with every text in it changed, names of fields excepted; what is no JSON stays."""
    try:
        return json.dumps(_plain(read_json(text), DEPTH_MAX, change), ensure_ascii=False)
    except ValueError:
        return text
