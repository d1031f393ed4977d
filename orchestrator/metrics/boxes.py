"""Where an answer says that something stands on the page, against the sample's box."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from orchestrator.errors import UsageError, nearest
from orchestrator.image_headers import Size
from orchestrator.images import probe
from orchestrator.metrics.box_text import Numbers, find_box
from orchestrator.metrics.metric import Measure, Metric

NO_BOX, NO_REFERENCE, NO_SIZE = "no_box", "no_reference", "unknown_size"
RELATIVE = 1000
CONVENTIONS = {
    "px": "pixels of the image",
    "qwen2-vl": "x first, 0 to 1000 of the image's width and height",
    "qwen2.5-vl": "x first, pixels of the image as the processor resized it",
    "qwen3-vl": "x first, 0 to 1000 of the image's width and height",
    "gemini": "y first, 0 to 1000 of the image's height and width",
    "unit": "x first, 0 to 1 of the image's width and height",
}
"""What the four numbers of a model's box are."""

_OTHERS = f" (or {', '.join(f'@{name}' for name in CONVENTIONS if name != 'px')})"
_RELATIVE_TO = {"qwen2-vl": RELATIVE, "qwen3-vl": RELATIVE, "gemini": RELATIVE, "unit": 1}
# Of the checkpoints Qwen/Qwen2.5-VL-*-Instruct, preprocessor_config.json: patch_size * merge_size, min_ and max_pixels.
_QWEN_SIDE, _QWEN_MIN_PIXELS, _QWEN_MAX_PIXELS = 28, 3136, 12845056


def iou(box: Numbers, right: Numbers) -> float:
    """Return intersection over union of the areas (Jaccard index), from 0 to 1.

    Unfair to boxes of single fields: on 200 x 30 pixels, 10 pixels too low is 0.5.
    """
    both = _overlap(box, right)
    together = _area(box) + _area(right) - both
    return both / together if together else 0.0


def coverage(box: Numbers, right: Numbers) -> float:
    """Return the share of the right box's area that `box` covers, from 0 to 1; the whole page covers all."""
    return _overlap(box, right) / _area(right) if _area(right) else 0.0


def centre_in_box(box: Numbers, right: Numbers) -> float:
    """Return 1 where the centre of `box` lies in the right box, its edge included, else 0: the pointing game."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return 1.0 if right[0] <= x <= right[2] and right[1] <= y <= right[3] else 0.0


def _area(box: Numbers) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _overlap(box: Numbers, other: Numbers) -> float:
    sides = [min(box[end], other[end]) - max(box[start], other[start]) for start, end in ((0, 2), (1, 3))]
    return max(0.0, sides[0]) * max(0.0, sides[1])


def judge_box(
    text: str,
    references: tuple[str, ...],  # noqa: ARG001 - a metric's signature
    sample: Mapping[str, Any],
    *,
    judge: Callable[[Numbers, Numbers], float],
    convention: str,
) -> Measure | str:
    """Return what `judge` says of the first box in `text`, read by `convention`, and the sample's `answer_bbox`.

    Two opposite corners make a box, in whatever order. Reasons for none: the sample has no box, the answer has none,
    the image's size is not known.
    """
    if not sample["answer_bbox"]:
        return NO_REFERENCE
    numbers = find_box(text, is_y_first=convention == "gemini")
    if numbers is None:
        return NO_BOX
    box = to_pixels(numbers, convention, sample)
    return Measure(judge(_sorted(box), _sorted(sample["answer_bbox"]))) if box else NO_SIZE


def _sorted(box: Sequence[float]) -> Numbers:
    """Return the box by its upper left and lower right corner, whichever two opposite ones it was written by."""
    (left, right), (top, bottom) = sorted((box[0], box[2])), sorted((box[1], box[3]))
    return left, top, right, bottom


def to_pixels(numbers: Numbers, convention: str, sample: Mapping[str, Any]) -> Numbers | None:
    """Return x1, y1, x2, y2 in pixels of the sample's first image; None where its size is needed and not known."""
    if convention == "px":
        return numbers
    size = image_size(*sample["images"][0]) if sample["images"] else None
    if size is None:
        return None
    if convention == "gemini":
        numbers = numbers[1], numbers[0], numbers[3], numbers[2]
    if convention in _RELATIVE_TO:
        wide = high = _RELATIVE_TO[convention]
    else:
        wide, high = _shown_size(sample.get("info")) or qwen_size(*size)
    x, y = size[0] / wide, size[1] / high
    return numbers[0] * x, numbers[1] * y, numbers[2] * x, numbers[3] * y


def _shown_size(info: Any) -> Size | None:
    """Return width and height of the first image as the runner says that the model saw it."""
    images = info.get("images") if isinstance(info, dict) else None
    first = images[0] if isinstance(images, list) and images else None
    wide, high = (first.get("width"), first.get("height")) if isinstance(first, dict) else (None, None)
    return (wide, high) if isinstance(wide, int) and isinstance(high, int) and min(wide, high) > 0 else None


def qwen_size(width: int, height: int) -> Size:
    """Return what Qwen2.5-VL's processor makes of an image by its own bounds (qwen-vl-utils, `smart_resize`)."""
    side = _QWEN_SIDE
    wide, high = (max(side, round(length / side) * side) for length in (width, height))
    if wide * high > _QWEN_MAX_PIXELS:
        shrink = math.sqrt(width * height / _QWEN_MAX_PIXELS)
        wide, high = (max(side, math.floor(length / shrink / side) * side) for length in (width, height))
    elif wide * high < _QWEN_MIN_PIXELS:
        grow = math.sqrt(_QWEN_MIN_PIXELS / (width * height))
        wide, high = (math.ceil(length * grow / side) * side for length in (width, height))
    return wide, high


@lru_cache(maxsize=4096)
def image_size(path: str, sha256: str) -> Size | None:
    """Return width and height in pixels by the image's header; None where it is not there, or another by now."""
    seen = probe(Path(path))
    if seen.width is None or seen.height is None or (sha256 and seen.sha256 != sha256):
        return None
    return seen.width, seen.height


_JUDGES = {
    "iou": (iou, "intersection over union of the answer's box and the sample's"),
    "coverage": (coverage, "share of the sample's box that the answer's covers"),
    "centre_in_box": (centre_in_box, "share of answers whose box has its centre in the sample's"),
}


def _make(name: str, option: str) -> Metric:
    judge, description = _JUDGES[name]
    convention = option or "px"
    if convention not in CONVENTIONS:
        raise UsageError(f"there is no metric '{name}@{option}'{nearest(option, CONVENTIONS)}")
    return Metric(
        name=f"{name}@{option}" if option else name,
        description=f"{description}; numbers are {CONVENTIONS[convention]}{'' if option else _OTHERS}",
        unit="fraction",
        direction="higher",
        function=partial(judge_box, judge=judge, convention=convention),
        needs_reference=False,
        about=("answer_bbox", "images", "info"),
    )


MAKERS: dict[str, Callable[[str], Metric]] = {name: partial(_make, name) for name in _JUDGES}
