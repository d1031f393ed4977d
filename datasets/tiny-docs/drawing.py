"""Draw pages with the DejaVu fonts, and note what was written where."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

FONTS = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/fonts/truetype/dejavu")
INK = {
    "dark": (38, 36, 44),
    "label": (96, 88, 104),
    "blue": (34, 52, 128),
    "red": (150, 40, 44),
    "faded": (104, 102, 108),
}


@dataclass(frozen=True)
class Span:
    """Text on a row: where it begins, how it looks, and which question it answers."""

    x: int
    text: str
    size: int = 28
    face: str = "Sans"
    ink: str = "dark"
    answers: str | None = None


class Row(NamedTuple):
    """One printed row: its label, its value, and which question the value answers."""

    label: str
    value: str
    answers: str | None


class Holder(NamedTuple):
    """What a machine-readable zone says; dates are YYMMDD, spaces in names are `<`."""

    surname: str
    given: str
    number: str
    born: str
    sex: str
    expires: str


@dataclass
class Sheet:
    """A page being drawn, with what was written on it."""

    image: Image.Image
    lines: list[str] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    masks: dict[str, Image.Image] = field(default_factory=dict)

    def row(self, y: int, *spans: Span) -> None:
        """Write one row, baseline at `y`, and note it as a line of the transcription."""
        for span in spans:
            at, font = (span.x, y), _font(span.face, span.size)
            ImageDraw.Draw(self.image).text(at, span.text, INK[span.ink], font, anchor="ls")
            if span.answers:
                self.answers.setdefault(span.answers, []).append(span.text)
                mask = self.masks.setdefault(span.answers, Image.new("L", self.image.size))
                ImageDraw.Draw(mask).text(at, span.text, 255, font, anchor="ls")
        self.lines.append(" ".join(span.text for span in spans))


def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONTS / f"DejaVu{face}.ttf", size, layout_engine=ImageFont.Layout.BASIC)


def rows(text: str) -> list[Row]:
    """Read rows of `label | value | question type`, the last one optional."""
    cells = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return [Row(label, value, answers[0] if answers else None) for label, value, *answers in cells]


def specimen(x: int, word: str = "SPECIMEN") -> Span:
    """Return the word that every page bears."""
    return Span(x, word, 28, "Sans-Bold", "red")


def portrait(sheet: Sheet, x: int, y: int) -> None:
    """Draw a head and shoulders where a photograph would be."""
    photo = Image.new("RGB", (230, 300), (214, 216, 220))
    draw = ImageDraw.Draw(photo)
    draw.ellipse((70, 50, 160, 165), fill=(150, 148, 152))
    draw.ellipse((15, 180, 215, 420), fill=(132, 134, 142))
    draw.rectangle((0, 0, 229, 299), outline=(120, 120, 128), width=2)
    sheet.image.paste(photo, (x, y))


def security_lines(sheet: Sheet, colour: tuple[int, int, int]) -> None:
    """Cover the page with fine waves, as against copying."""
    draw = ImageDraw.Draw(sheet.image)
    width, height = sheet.image.size
    for k in range(0, height + 80, 16):
        points = [(x, k + 14 * math.sin(x / 70 + k / 40)) for x in range(0, width + 6, 6)]
        draw.line(points, fill=colour, width=1)


def labelled(sheet: Sheet, x: int, y: int, step: int, content: str) -> None:
    """Write each value below its label, as identity documents have it."""
    for n, (label, value, answers) in enumerate(rows(content)):
        sheet.row(y + n * step, Span(x, label, 20, ink="label"))
        sheet.row(y + n * step + 32, Span(x, value, answers=answers))


def passport_mrz(holder: Holder) -> tuple[str, ...]:
    """Return the two lines of 44 characters of a passport (ICAO 9303 part 4)."""
    first = f"P<UTO{holder.surname}<<{holder.given}".ljust(44, "<")
    number, born, expires = (part + _digit(part) for part in (holder.number, holder.born, holder.expires))
    rest = "<" * 14 + "0"
    return first, f"{number}UTO{born}{holder.sex}{expires}{rest}{_digit(number + born + expires + rest)}"


def card_mrz(holder: Holder) -> tuple[str, ...]:
    """Return the three lines of 30 characters of a card (ICAO 9303 part 5)."""
    number, born, expires = (part + _digit(part) for part in (holder.number, holder.born, holder.expires))
    first = f"I<UTO{number}".ljust(30, "<")
    rest = "<" * 11
    second = f"{born}{holder.sex}{expires}UTO{rest}{_digit(first[5:] + born + expires + rest)}"
    return first, second, f"{holder.surname}<<{holder.given}".ljust(30, "<")


def _digit(text: str) -> str:
    """Compute an ICAO 9303 check digit: weights 7, 3, 1; letters count from 10, the filler 0."""
    worth = {c: n for n, c in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
    return str(sum(worth.get(c, 0) * (7, 3, 1)[n % 3] for n, c in enumerate(text)) % 10)


def mrz(sheet: Sheet, y: int, size: int, lines: tuple[str, ...]) -> None:
    """Write a machine-readable zone."""
    for n, line in enumerate(lines):
        answers = "mrz_last_line" if n == len(lines) - 1 else None
        sheet.row(y + n * (size + 18), Span(60, line, size, "SansMono", answers=answers))


def receipt(head: str, body: str, foot: str, ink: str = "dark") -> Callable[[Sheet], None]:
    """Return what draws a till receipt: a centred head, names with their amounts, a centred foot."""

    def draw(sheet: Sheet) -> None:
        y = _centred(sheet, 60, rows(head), ink)
        y = _amounts(sheet, y + 20, rows(body), ink)
        _centred(sheet, y + 24, rows(foot), ink)

    return draw


def _centred(sheet: Sheet, y: int, rows: list[Row], ink: str) -> int:
    for _, text, answers in rows:
        face = "SansMono-Bold" if answers == "company" else "SansMono"
        x = int(sheet.image.width - _font(face, 24).getlength(text)) // 2
        sheet.row(y, Span(x, text, 24, face, ink, answers))
        y += 36
    return y


def _amounts(sheet: Sheet, y: int, rows: list[Row], ink: str) -> int:
    draw = ImageDraw.Draw(sheet.image)
    for name, amount, answers in rows:
        if not name:
            draw.line((40, y - 8, sheet.image.width - 40, y - 8), fill=INK[ink], width=2)
            y += 28
            continue
        face = "SansMono-Bold" if answers == "total" else "SansMono"
        x = int(sheet.image.width - 40 - _font(face, 24).getlength(amount))
        sheet.row(y, Span(40, name, 24, face, ink), Span(x, amount, 24, face, ink, answers))
        y += 38
    return y


def form(title: str, number: str, body: str, foot: tuple[tuple[Span, ...], ...]) -> Callable[[Sheet], None]:
    """Return what draws a form: printed labels, ruled lines, and answers in a slanted blue hand."""

    def draw(sheet: Sheet) -> None:
        sheet.row(80, Span(70, title, 36, "Serif-Bold"))
        sheet.row(122, Span(70, number, 22, "Serif"), specimen(800))
        y = 200
        for label, value, answers in rows(body):
            ImageDraw.Draw(sheet.image).line((400, y + 12, 1010, y + 12), fill=(150, 150, 156), width=2)
            sheet.row(y, printed(70, label), handwritten(415, value, answers))
            y += 74
        for n, spans in enumerate(foot):
            sheet.row(y + 20 + n * 52, *spans)

    return draw


def printed(x: int, text: str) -> Span:
    """Return a label of a form."""
    return Span(x, text, 24, "Serif")


def handwritten(x: int, text: str, answers: str | None = None) -> Span:
    """Return an answer in a form."""
    return Span(x, text, 30, "Serif-Italic", "blue", answers)


def tick_box(x: int, text: str) -> Span:
    """Return a choice of a form."""
    return Span(x, text, 26, "SansMono")
