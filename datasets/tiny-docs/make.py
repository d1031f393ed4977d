"""Write tiny-docs as if scanned, with its annotation: `python make.py [FOLDER OF THE DEJAVU FONTS]`.

The same versions of Pillow and of the fonts give the same bytes.
"""

import csv
import random
from pathlib import Path

from drawing import Sheet
from pages import DOCUMENTS, QUESTIONS, Document, Scan
from PIL import Image, ImageChops, ImageFilter

HERE = Path(__file__).resolve().parent
COLUMNS = ("image_path", "question", "answer", "doc_class", "question_type", "answer_bbox")
TRANSCRIBE = "Transcribe all the text."


def _laid_down(page: Image.Image, angle: float, background: int | tuple[int, int, int]) -> Image.Image:
    """Put `page` on the glass, slightly askew, with a margin around it."""
    glass = Image.new(page.mode, (page.width + 40, page.height + 40), background)
    glass.paste(page, (20, 20))
    return glass.rotate(angle, Image.Resampling.BICUBIC, fillcolor=background)


def _scanned(page: Image.Image, scan: Scan, rng: random.Random) -> Image.Image:
    image = _laid_down(page, scan.angle, (72, 72, 76)).filter(ImageFilter.GaussianBlur(scan.blur))
    light = (
        Image.linear_gradient("L")
        .rotate(rng.choice((0, 90, 180, 270)))
        .resize(image.size)
        .point(lambda v: 228 + v * 27 // 255)
    )
    image = ImageChops.multiply(image, Image.merge("RGB", (light, light, light)))
    grain = Image.frombytes("L", image.size, rng.randbytes(image.width * image.height)).filter(
        ImageFilter.GaussianBlur(0.6)
    )
    grain = grain.point(lambda v: int(128 + (v - 128) * scan.noise / 40))
    return ImageChops.add(image, Image.merge("RGB", (grain, grain, grain)), offset=-128)


def _annotate(document: Document, sheet: Sheet) -> list[tuple[str, ...]]:
    path = f"images/{document.name}.jpg"
    rows: list[tuple[str, ...]] = []
    for kind, texts in sheet.answers.items():
        mask = _laid_down(sheet.masks[kind], document.scan.angle, 0).point(lambda v: 255 * (v > 96))
        box = list(mask.getbbox() or ())
        rows.append((path, QUESTIONS[kind], " ".join(texts), document.doc_class, kind, str(box)))
    return [*rows, (path, TRANSCRIBE, "\n".join(sheet.lines), document.doc_class, "transcription", "")]


def main() -> None:
    """Write `images/` and `annotation.csv` beside this file."""
    (HERE / "images").mkdir(exist_ok=True)
    with (HERE / "annotation.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for document in DOCUMENTS:
            sheet = Sheet(Image.new("RGB", document.size, document.scan.paper))
            document.draw(sheet)
            writer.writerows(_annotate(document, sheet))
            image = _scanned(sheet.image, document.scan, random.Random(document.name))  # noqa: S311 - grain, no secret
            image.save(HERE / "images" / f"{document.name}.jpg", quality=82)


if __name__ == "__main__":
    main()
