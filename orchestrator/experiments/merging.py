"""Lay one table over another: deeply, or one level deep as EvalAP does."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

RANGE_KEYS = {"from", "to", "step", "times", "count"}
LONGEST = 10_000
CELLS_MAX = 2_000  # the plan of one takes about 5 ms


def merge_deep(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` overlaid by `over`, tables within tables merged likewise; anything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        before = _as_table(key, merged.get(key), value)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = merge_deep(before, value) if both else value
    return merged


def merge_shallow(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` overlaid by `over`; where both have a table, its keys are put together and their values replaced.

    This is what EvalAP calls a merge (its api/schemas.py, ExperimentSetCreate.to_table_init).
    """
    named = {key: _as_table(key, base.get(key), value) for key, value in over.items()}
    return merge_as_evalap({**base, **{key: before for key, before in named.items() if key in base}}, over)


def merge_as_evalap(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Do as `merge_shallow` does, a model's name being no table: as EvalAP does to the letter."""
    merged = dict(base)
    for key, value in over.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[key] = {**before, **value}
        else:
            merged[key] = value
    return merged


def _as_table(key: str, before: Any, value: Any) -> Any:
    """Take a model that is a mere name for its table, so that parameters can be laid over it."""
    is_name = key == "model" and isinstance(before, str) and isinstance(value, Mapping) and "name" not in value
    return {"name": before} if is_name else before


def nest(path: str, value: Any) -> dict[str, Any]:
    """Return the tables that the dotted `path` leads through, `value` innermost."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


def is_range(given: Any) -> bool:
    """Tell whether `given` is meant as a range."""
    return isinstance(given, Mapping) and "from" in given and given.keys() <= RANGE_KEYS


def read_range(given: Mapping[str, Any]) -> list[int | float]:
    """Return the numbers from `from` to `to`, each `step` more or so many `times` the one before.

    `to` is the last of them where they meet it. With `count` they are so many at equal distances. Decimal, so that 0.1
    steps end where they should. Raises ValueError.
    """
    how = [key for key in ("step", "times", "count") if key in given]
    if "to" not in given or len(how) > 1:
        raise ValueError("a range has from, to and one of step, times and count")
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"a range is of numbers, and '{key}' is {value!r}")  # noqa: TRY004
    first, last = Decimal(str(given["from"])), Decimal(str(given["to"]))
    by = Decimal(str(given.get(how[0] if how else "step", 1)))
    if how == ["count"]:
        return _spread(first, last, by)
    goes_on = by > 1 and first > 0 and last >= first if how == ["times"] else by != 0 and (last - first) * by >= 0
    if not goes_on:
        raise ValueError(f"a range from {first} never comes to {last}")
    values: list[Decimal] = []
    value = first
    while min(first, last) <= value <= max(first, last):
        if len(values) == LONGEST:
            raise ValueError(f"a range makes at most {LONGEST:,} values, and this one goes on; take larger steps")
        values.append(value)
        value = value * by if how == ["times"] else value + by
    return [_plain(value) for value in values]


def _spread(first: Decimal, last: Decimal, count: Decimal) -> list[int | float]:
    if count != int(count) or not 2 <= count <= LONGEST:  # noqa: PLR2004 - both ends
        raise ValueError(f"the count of a range is a whole number from 2 to {LONGEST:,}")
    return [_plain(first + (last - first) * n / (count - 1)) for n in range(int(count))]


def _plain(value: Decimal) -> int | float:
    return int(value) if value == int(value) and value.as_tuple().exponent == 0 else float(value)
