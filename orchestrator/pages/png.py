"""Drawings as PNG, drawn with Pillow."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from orchestrator.files import replacing
from orchestrator.pages.shapes import INK, Bar, Dot, Drawing, Line, Shape, Words

SCALE = 3  # pixels of the file for each of the drawing
_SMOOTH = 2  # and so many times more while it is drawn, for Pillow's lines are hard
_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}
_FACES = {False: ("DejaVuSans.ttf", "Arial.ttf"), True: ("DejaVuSans-Bold.ttf", "Arial Bold.ttf")}

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def write_png(drawing: Drawing, path: Path) -> None:
    """Write `drawing` on white to `path`, three pixels for each of its own."""
    full = SCALE * _SMOOTH
    image = Image.new("RGB", (round(drawing.width * full), round(drawing.height * full)), "white")
    pen = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        _draw(pen, shape, full)
    small = image.resize((image.width // _SMOOTH, image.height // _SMOOTH), Image.Resampling.LANCZOS)
    with replacing(path) as temporary:
        small.save(temporary, "PNG", dpi=(96 * SCALE, 96 * SCALE))


def _draw(pen: ImageDraw.ImageDraw, shape: Shape, scale: int) -> None:
    match shape:
        case Line():
            for x1, y1, x2, y2 in _strokes(shape):
                ends = (x1 * scale, y1 * scale, x2 * scale, y2 * scale)
                pen.line(ends, fill=INK[shape.ink], width=max(1, round(shape.width * scale)))
        case Bar():
            x, y, right, bottom = shape.x, shape.y, shape.x + shape.width, shape.y + shape.height
            pen.rectangle((x * scale, y * scale, right * scale, bottom * scale), fill=INK[shape.ink])
        case Dot():
            r = shape.radius
            box = tuple(scale * each for each in (shape.x - r, shape.y - r, shape.x + r, shape.y + r))
            fill, outline = ("white", INK[shape.ink]) if shape.hollow else (INK[shape.ink], None)
            pen.ellipse(box, fill=fill, outline=outline, width=2 * scale)
        case Words():
            font = _font(shape.size * scale, is_bold=shape.bold)
            anchor = _ANCHORS[shape.anchor]
            pen.text((shape.x * scale, shape.y * scale), shape.text, INK[shape.ink], font, anchor=anchor)


def _strokes(line: Line) -> list[tuple[float, float, float, float]]:
    length = ((line.x2 - line.x1) ** 2 + (line.y2 - line.y1) ** 2) ** 0.5
    if not line.dash or not length:
        return [(line.x1, line.y1, line.x2, line.y2)]
    strokes, at, number = [], 0.0, 0
    while at < length:
        end = min(length, at + line.dash[number % len(line.dash)])
        if number % 2 == 0:
            points = [(1 - part) * a + part * b for part in (at / length, end / length) for a, b in _ends(line)]
            strokes.append((points[0], points[1], points[2], points[3]))
        at, number = end, number + 1
    return strokes


def _ends(line: Line) -> tuple[tuple[float, float], tuple[float, float]]:
    return (line.x1, line.x2), (line.y1, line.y2)


def _font(size: float, *, is_bold: bool) -> _Font:
    """Return a font of the system with many scripts, or the Latin one that Pillow brings."""
    for name in _FACES[is_bold]:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
