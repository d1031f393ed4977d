"""ALTO (v2 to v4) and PAGE XML (PRImA, 2010 to 2019): lines and regions with their boxes and texts.

Both are read one file at a time; a document type declaration is refused, so that no entity grows.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

MAX_BYTES = 100_000_000
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_FARTHEST = 1e9
_MM10, _INCH1200 = 254.0, 1200.0  # units to the inch


class Zone(NamedTuple):
    """A line or region: its id, its text, its box (x1, y1, x2, y2) in the units of the page, and its kind."""

    id: str
    text: str
    box: tuple[float, float, float, float] | None
    kind: str


class Page(NamedTuple):
    """A page: the image's file name as the XML says it (None: it does not), its size in its units, and its zones."""

    image: str | None
    width: float | None
    height: float | None
    unit: str
    zones: tuple[Zone, ...]


def read_page(path: Path, level: str) -> Page:
    """Read the `line`s or `region`s of an ALTO or PAGE file; raise ValueError, a sentence, where it is neither."""
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES // 10**6} MB")
    plain = data.replace(b"\0", b"")  # as UTF-16 has them
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        raise ValueError("has a document type declaration, which ALTO and PAGE have no use for")
    try:
        root = ET.fromstring(data)  # noqa: S314 - without a DOCTYPE there are no entities
    except ET.ParseError as error:
        raise ValueError(f"is not XML: {error}") from None
    name = _local(root)
    if name == "alto":
        return _read_alto(root, level)
    if name == "PcGts":
        return _read_page_xml(root, level)
    raise ValueError(f"is neither ALTO nor PAGE XML: its root is <{name}>")


def to_pixels(page: Page, box: tuple[float, ...], width: int, height: int) -> tuple[int, int, int, int]:
    """Return a box in pixels of an image of that size, which the page's own size may differ from."""
    sx = width / page.width if page.width else 1.0
    sy = height / page.height if page.height else 1.0
    x1, y1, x2, y2 = (round(v * s) for v, s in zip(box, (sx, sy, sx, sy), strict=True))
    return max(0, x1), max(0, y1), min(width, x2), min(height, y2)


def _read_alto(root: ET.Element, level: str) -> Page:
    page = _first(root, "Page")
    image = _first(root, "fileName")
    unit = _first(root, "MeasurementUnit")
    tag = "TextLine" if level == "line" else "TextBlock"
    zones = [_alto_zone(element, level) for element in root.iter() if _local(element) == tag]
    size = (page.get("WIDTH"), page.get("HEIGHT")) if page is not None else (None, None)
    width, height = map(_positive, size)
    name = (image.text or "").strip() or None if image is not None else None
    return Page(name, width, height, (unit.text or "pixel") if unit is not None else "pixel", tuple(zones))


def _alto_zone(element: ET.Element, level: str) -> Zone:
    lines = [element] if level == "line" else [e for e in element.iter() if _local(e) == "TextLine"]
    x, y, w, h = (_finite(element.get(name)) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
    found = None if x is None or y is None or w is None or h is None else (x, y, x + w, y + h)
    text = "\n".join(_alto_line(line) for line in lines)
    return Zone(element.get("ID") or "", text, found, _local(element))


def _alto_line(line: ET.Element) -> str:
    parts: list[str] = []
    for element in line:
        name = _local(element)
        if name == "String":
            # the two halves of a word that was divided have the whole in SUBS_CONTENT; the page shows CONTENT
            parts.append(element.get("CONTENT") or "")
        elif name == "SP":
            parts.append(" ")
        elif name == "HYP":
            parts.append(element.get("CONTENT") or "-")
    has_spaces = " " in parts
    return "".join(parts) if has_spaces else " ".join(parts)


def _read_page_xml(root: ET.Element, level: str) -> Page:
    page = _first(root, "Page")
    if page is None:
        raise ValueError("has no <Page>")
    tag = "TextLine" if level == "line" else "TextRegion"
    elements = _in_reading_order(page, tag) if level == "region" else _lines_in_order(page)
    zones = [Zone(e.get("id") or "", _page_text(e), _page_box(e), e.get("type") or tag) for e in elements]
    width, height = (_positive(page.get(name)) for name in ("imageWidth", "imageHeight"))
    return Page(page.get("imageFilename"), width, height, "pixel", tuple(zones))


def _lines_in_order(page: ET.Element) -> Iterator[ET.Element]:
    for region in _in_reading_order(page, "TextRegion"):
        yield from (element for element in region if _local(element) == "TextLine")


def _in_reading_order(page: ET.Element, tag: str) -> list[ET.Element]:
    """Return the elements in the ReadingOrder where there is one, else as they stand."""
    elements = [element for element in page.iter() if _local(element) == tag]
    order = _first(page, "ReadingOrder")
    refs = [e.get("regionRef") for e in order.iter() if e.get("regionRef")] if order is not None else []
    places = {ref: number for number, ref in enumerate(refs)}
    return sorted(elements, key=lambda element: places.get(element.get("id"), len(places)))


def _page_text(element: ET.Element) -> str:
    """Return the element's own text (of the lowest index), else that of its lines."""
    own = [e for e in element if _local(e) == "TextEquiv"]
    if own:
        best = min(own, key=lambda e: _finite(e.get("index")) or 0)
        text = next((e.text for e in best if _local(e) == "Unicode"), None)
        if text:
            return text
    parts = [_page_text(e) for e in element if _local(e) in ("TextLine", "Word")]
    return ("\n" if any(_local(e) == "TextLine" for e in element) else " ").join(part for part in parts if part)


def _page_box(element: ET.Element) -> tuple[float, float, float, float] | None:
    coords = next((e for e in element if _local(e) == "Coords"), None)
    if coords is None:
        return None
    text = coords.get("points") or " ".join(f"{e.get('x')},{e.get('y')}" for e in coords)  # points: since 2013
    numbers = [number for match in _NUMBER.findall(text) if (number := _finite(match)) is not None]
    xs, ys = numbers[0::2], numbers[1::2]
    return (min(xs), min(ys), max(xs), max(ys)) if xs and len(xs) == len(ys) else None


def _first(root: ET.Element, name: str) -> ET.Element | None:
    return next((element for element in root.iter() if _local(element) == name), None)


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _positive(text: str | None) -> float | None:
    number = _finite(text)
    return number if number is not None and number >= 1 else None


def _finite(text: str | None) -> float | None:
    """Return a number that a page can have; None for none, or for one as `nan` and `1e999`."""
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if abs(number) < _FARTHEST else None
