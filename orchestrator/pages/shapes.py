"""Drawings as data: lines, dots, bars and words, and the SVG of them."""

import itertools
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape

INK: Mapping[str, str] = {
    "ink": "#1b1f24",
    "quiet": "#5f6873",
    "edge": "#d3d8de",
    "accent": "#0b62c4",
    "h0": "#e4eefa",
    "h1": "#fbe3cd",
    "h2": "#f6bd8a",
    "h3": "#e88c4a",
    "h4": "#b9541c",
    "h5": "#8f969e",
    # Okabe and Ito (2008), darkened where they are too pale for lines on white
    "c0": "#0b62c4",
    "c1": "#c2560c",
    "c2": "#00795a",
    "c3": "#a8478a",
    "c4": "#7a6a00",
    "c5": "#1f8fb5",
    "c6": "#444b54",
    "c7": "#b3261e",
}
"""Colours by name, for a white page; a page with a theme gives the same names its own."""

HUES = ("c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7")
FONT_PX = 12.0
_BOLD = 1.08
# Widths of letters in parts of the size, as wide as they are in the widest of the usual fonts (DejaVu Sans)
_WIDE, _LARGE, _SMALL, _CHAR = 1.05, 0.78, 0.4, 0.61


@dataclass(frozen=True, slots=True)
class Line:
    """A line; `dash` are the lengths of strokes and gaps."""

    x1: float
    y1: float
    x2: float
    y2: float
    ink: str = "edge"
    width: float = 1.0
    dash: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """A filled rectangle; `hint` is shown where the pointer rests."""

    x: float
    y: float
    width: float
    height: float
    ink: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    """A disc, or a ring where it is `hollow`; `hint` is shown where the pointer rests."""

    x: float
    y: float
    radius: float
    ink: str
    hollow: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text on the base line `y`; `anchor` says which end of it is at `x`."""

    x: float
    y: float
    text: str
    ink: str = "ink"
    anchor: str = "start"
    size: float = FONT_PX
    bold: bool = False


Shape = Line | Bar | Dot | Words


@dataclass(frozen=True, slots=True)
class Drawing:
    """A plot: its file's `name`, what it shows in words, its size in pixels, and its shapes from the back."""

    name: str
    title: str
    description: str
    width: float
    height: float
    shapes: tuple[Shape, ...]


def fitted(text: str, width: float, size: float = FONT_PX, *, bold: bool = False) -> str:
    """Return `text` cut in its middle to `width` pixels at most: names often differ at their ends."""
    room = width / (size * (_BOLD if bold else 1.0))
    if _width(text) <= room:
        return text
    left, right = _half(text, (room - _WIDE) / 2), _half(text[::-1], (room - _WIDE) / 2)
    return f"{text[:left]}…{text[len(text) - right :]}"


def _half(text: str, room: float) -> int:
    """Return how many letters from the beginning have room, one at least."""
    widths = itertools.accumulate(map(_width, text))
    return max(1, sum(1 for _ in itertools.takewhile(lambda end: end <= room, widths)))


def _width(text: str) -> float:
    """Return about how wide `text` is, in parts of its size."""
    return sum(
        _WIDE
        if letter in "mwMW@%…—" or unicodedata.east_asian_width(letter) in {"W", "F"}
        else _LARGE
        if letter.isupper()
        else _SMALL
        if letter in "ijl.,:;'|!()[] "
        else _CHAR
        for letter in text
    )


def to_svg(drawing: Drawing, *, standalone: bool = False) -> str:
    """Return `drawing` as SVG: with classes for a page's theme to colour, or `standalone`, with its own colours."""
    paint = _own_paint if standalone else _page_paint
    namespace = ' xmlns="http://www.w3.org/2000/svg"' if standalone else ""
    size = f'width="{drawing.width:g}" height="{drawing.height:g}" ' if standalone else ""
    back = '<rect width="100%" height="100%" fill="#ffffff"/>' if standalone else ""
    body = "\n".join(_elements(drawing.shapes, paint))
    return (
        f'<svg{namespace} {size}viewBox="0 0 {drawing.width:g} {drawing.height:g}" role="img" '
        f'font-family="system-ui, sans-serif"><title>{_text(drawing.title)}</title>'
        f"<desc>{_text(drawing.description)}</desc>{back}\n{body}\n</svg>"
    )


def _page_paint(kind: str, ink: str) -> str:
    return f'class="{kind} i-{ink}"'


def _own_paint(kind: str, ink: str) -> str:
    return f'fill="{INK[ink]}"' if kind == "fill" else f'fill="none" stroke="{INK[ink]}"'


def _elements(shapes: Iterable[Shape], paint: Callable[[str, str], str]) -> Iterator[str]:
    for shape in shapes:
        match shape:
            case Line():
                dash = f' stroke-dasharray="{" ".join(f"{each:g}" for each in shape.dash)}"' if shape.dash else ""
                ends = f'x1="{shape.x1:.1f}" y1="{shape.y1:.1f}" x2="{shape.x2:.1f}" y2="{shape.y2:.1f}"'
                yield f'<line {ends} {paint("stroke", shape.ink)} stroke-width="{shape.width:g}"{dash}/>'
            case Bar():
                box = f'x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}"'
                yield f"<rect {box} {paint('fill', shape.ink)}>{_hint(shape.hint)}</rect>"
            case Dot():
                kind, more = ("stroke", ' stroke-width="2"') if shape.hollow else ("fill", "")
                place = f'cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius:g}"'
                yield f"<circle {place} {paint(kind, shape.ink)}{more}>{_hint(shape.hint)}</circle>"
            case Words():
                bold = ' font-weight="600"' if shape.bold else ""
                place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" text-anchor="{shape.anchor}" font-size="{shape.size:g}"'
                yield f"<text {place}{bold} {paint('fill', shape.ink)}>{_text(shape.text)}</text>"


def _hint(text: str) -> str:
    return f"<title>{_text(text)}</title>" if text else ""


def _text(text: str) -> str:
    """Return `text` for XML, which knows no control characters nor halves of surrogate pairs."""
    kept = (c if c.isprintable() or c == " " else "\ufffd" for c in text)
    return escape("".join(kept))
