"""The URL of an element's image (IIIF Image API 2 and 3: region, size, rotation), and the element's box in it."""

import math
from typing import NamedTuple

from orchestrator.datasets.sample import Box
from orchestrator.importing.arkindex_element import Element, Iiif


class View(NamedTuple):
    """What is asked of a IIIF server; `fallback` is the same for a server that does not know the size `full`."""

    url: str
    fallback: str | None
    box: Box | None


def make_view(element: Element, *, whole_image: bool = False, max_side: int | None = None) -> View | None:
    """Return how to see an element: the bounding box of its polygon, mirrored and turned as its people see it.

    With `whole_image` the image as it is stored, and the element's box in it. None where it has no image.
    """
    image = element.image
    if image is None:
        return None
    region = _bounds(element, image)
    if region is None:
        return None
    x, y, width, height = region
    box = None
    if whole_image:
        x, y, width, height = 0, 0, image.width, image.height
    sizes = ["full", "max"] if image.version < 3 else ["max"]  # noqa: PLR2004 - the version without `full`
    limit = _find_limit(image, width, height, max_side)
    if limit is not None:
        sizes = [f"!{limit[0]},{limit[1]}"]
    if whole_image and (region[2:] != (image.width, image.height)):
        scale = min(limit[0] / width, limit[1] / height) if limit else 1.0
        left, top, wide, high = region
        box = (left * scale, top * scale, (left + wide) * scale, (top + high) * scale)
    place = "full" if (x, y, width, height) == (0, 0, image.width, image.height) else f"{x},{y},{width},{height}"
    turn = "0" if whole_image else f"{'!' if element.is_mirrored else ''}{element.rotation % 360}"
    urls = [f"{image.url.rstrip('/')}/{place}/{size}/{turn}/default.jpg" for size in sizes]
    return View(urls[0], urls[1] if len(urls) > 1 else None, box)


def _bounds(element: Element, image: Iiif) -> tuple[int, int, int, int] | None:
    """Return x, y, width and height of the polygon within the image; the image's own where there is no polygon."""
    if not element.polygon:
        return (0, 0, image.width, image.height) if image.width > 0 and image.height > 0 else None
    xs, ys = zip(*element.polygon, strict=True)
    left, top = max(0, math.floor(min(xs))), max(0, math.floor(min(ys)))
    right, bottom = min(image.width, math.ceil(max(xs))), min(image.height, math.ceil(max(ys)))
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _find_limit(image: Iiif, width: int, height: int, max_side: int | None) -> tuple[int, int] | None:
    """Return the size into which a region must fit, or None; a server asked for more than it has may enlarge."""
    widest = min(side for side in (image.max_width, max_side, width) if side)
    highest = min(side for side in (image.max_height, max_side, height) if side)
    return (widest, highest) if (widest, highest) != (width, height) else None
