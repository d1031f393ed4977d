"""Boxes in an answer's text, as models write them: four numbers, in whatever unit."""

import json
import re
from collections.abc import Iterator
from typing import Any

Numbers = tuple[float, float, float, float]

NAMES = ("bbox_2d", "box_2d", "bbox", "box", "bounding_box", "answer_bbox")
_CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"))
_LARGEST = 1e9
_NUMBER = r"(-?\d{1,6}(?:\.\d{1,9})?)"
_COMMA = r"\s{0,4}[,\s]\s{0,4}"
_FOUR = _COMMA.join([_NUMBER] * 4)
_POINT = rf"[(\[]\s{{0,4}}{_NUMBER}{_COMMA}{_NUMBER}\s{{0,4}}[)\]]"
_PATTERNS = (
    re.compile(rf"[(\[]\s{{0,4}}{_FOUR}\s{{0,4}}[)\]]"),
    re.compile(rf"{_POINT}\s{{0,4}},?\s{{0,4}}{_POINT}"),
)
_BARE = re.compile(rf"\s*{_FOUR}\s*")
_TOKENS = re.compile(r"<\|?/?(?:box|box_start|box_end|box_2d)\|?>")


def find_box(text: str, *, is_y_first: bool = False) -> Numbers | None:
    """Return the first box in `text`, its four numbers in the order written; None where there is none.

    All of `text` may be JSON: an object with one of NAMES or with the corners by their names, a list of such, or four
    numbers. Else it is the first [a, b, c, d], (a, b), (c, d) or [[a, b], [c, d]] in it, with or without the tokens
    <|box_start|> … <|box_end|> or <box> … </box>; else four numbers alone. Corners by their names come y first where
    `is_y_first`.
    """
    plain = _TOKENS.sub(" ", text).strip()
    named = _of_json(plain, is_y_first=is_y_first)
    if named is not None:
        return named
    found = [match for pattern in _PATTERNS if (match := pattern.search(plain))]
    first = min(found, key=lambda match: match.start()) if found else _BARE.fullmatch(plain)
    if first is None:
        return None
    a, b, c, d = map(float, first.groups())
    return a, b, c, d


def _of_json(text: str, *, is_y_first: bool) -> Numbers | None:
    if not text.startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return next(_boxes(value, 8, is_y_first=is_y_first), None)


def _boxes(value: Any, depth: int, *, is_y_first: bool) -> Iterator[Numbers]:
    if (four := _four(value)) is not None:
        yield four
    elif isinstance(value, dict):
        for corners in _CORNERS:
            if (four := _four([value.get(name) for name in corners])) is not None:
                yield (four[1], four[0], four[3], four[2]) if is_y_first else four
        inner = [*(value[name] for name in NAMES if name in value), *value.values()]
    else:
        inner = value if isinstance(value, list) else []
    if four is None and depth:
        for each in inner:
            yield from _boxes(each, depth - 1, is_y_first=is_y_first)


def _four(value: Any) -> Numbers | None:
    """Return the four numbers of [a, b, c, d] or [[a, b], [c, d]]."""
    if not isinstance(value, list):
        return None
    flat = [inner for each in value[:4] for inner in (each if isinstance(each, list) else [each])]
    is_box = len(value) in {2, 4} and len(flat) == 4 and all(map(_is_finite, flat))  # noqa: PLR2004 - corners
    return (flat[0], flat[1], flat[2], flat[3]) if is_box else None


def _is_finite(number: Any) -> bool:
    """Tell whether it is a number that can be reckoned with; JSON's readers take NaN, Infinity and 1e999 as well."""
    return type(number) in {int, float} and abs(number) <= _LARGEST
