"""`@metric`: what a user says of a function of his that is to be a metric."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, overload

from orchestrator.errors import BakeoffError

Function = Callable[..., float | None]
_MARK = "__bakeoff_metric__"
_TYPES = {
    "name": (str, type(None)),
    "description": (str, type(None)),
    "unit": (str,),
    "direction": (str,),
    "needs_reference": (bool,),
    "normaliser": (str, type(None)),
    "version": (int,),
}
_SAID = {str: "a text", bool: "True or False", int: "a whole number", type(None): "None"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a user says of a metric; see `metric`."""

    name: str | None
    description: str | None
    unit: str
    direction: Literal["higher", "lower"]
    needs_reference: bool
    normaliser: str | None
    version: int


@overload
def metric(function: Function) -> Function: ...
@overload
def metric(
    *,
    name: str | None = None,
    description: str | None = None,
    unit: str = "fraction",
    direction: Literal["higher", "lower"] = "higher",
    needs_reference: bool = True,
    normaliser: str | None = None,
    version: int = 1,
) -> Callable[[Function], Function]: ...
def metric(
    function: Function | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    unit: str = "fraction",
    direction: Literal["higher", "lower"] = "higher",
    needs_reference: bool = True,
    normaliser: str | None = None,
    version: int = 1,
) -> Any:
    """Declare a function of a workspace's `metrics/NAME.py` to be a metric; the function itself stays as it is.

    It gets the answer and the list of references, and if it takes a third argument the sample as a dict (`id`,
    `question`, `doc_class`, `question_type`, `document`, `answer_bbox`, `images` as paths, `metadata`, and `info` of
    the prediction). It returns a number, or None where the answer cannot be scored. `name` is the function's by
    default, `description` the first line of its docstring. `normaliser` is None (texts as they come) or names steps,
    such as "norm+ci", that both texts go through before. Raises BakeoffError where an argument is of another type, or
    what stands below is no plain function.
    """
    declared = Declaration(name, description, unit, direction, needs_reference, normaliser, version)
    for argument, types in _TYPES.items():
        _check_type(argument, getattr(declared, argument), types)

    def mark(function: Function) -> Function:
        _check_function(function)
        setattr(function, _MARK, declared)
        return function

    return mark if function is None else mark(function)


def find_declaration(value: object) -> Declaration | None:
    """Return what `metric` was told of a function, None of anything else."""
    declared = getattr(value, _MARK, None)
    return declared if isinstance(declared, Declaration) else None


def _check_type(argument: str, value: object, types: tuple[type, ...]) -> None:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        allowed = " or ".join(_SAID[kind] for kind in types)
        raise BakeoffError(f"@metric({argument}={value!r:.40}) should be {allowed}")


def _check_function(function: object) -> None:
    """Refuse what cannot be called with an answer and return a number; wrappers such as lru_cache's are none of it."""
    inner = function if inspect.isfunction(function) or not callable(function) else inspect.unwrap(function)
    if not inspect.isfunction(inner):
        raise BakeoffError(
            f"@metric stands above a function, not above {type(function).__name__} {function!r:.40}; "
            "what it is told is named, as @metric(name=...)"
        )
    if inspect.iscoroutinefunction(inner) or inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise BakeoffError(f"@metric: {inner.__name__} should be a plain function, without async and yield")
