"""The pages of a PDF or a TIFF as PNGs, one after the other."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image, ImageSequence

from orchestrator.image_headers import DamagedError, read_sizes
from orchestrator.images import MAX_PIXELS

_POINTS = 72


def render_pages(path: Path, dpi: int, pages_max: int) -> Iterator[bytes | str]:
    """Yield each page as PNG, or why there is none; raise ValueError, a sentence, for a file that is broken."""
    if path.suffix.lower() == ".pdf":
        yield from _render(path, dpi, pages_max)
    else:
        yield from _frames(path, pages_max)


def _render(path: Path, dpi: int, pages_max: int) -> Iterator[bytes | str]:
    import pypdfium2 as pdfium  # noqa: PLC0415 - only for PDFs

    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        reason = "is locked with a password; take it off first" if "assword" in str(error) else "is not a readable PDF"
        raise ValueError(reason) from None
    with _closing(document):
        with suppress(pdfium.PdfiumError):
            document.init_forms()  # before its pages, or what was filled in is not shown
        if len(document) > pages_max:
            raise ValueError(f"has {len(document)} pages, more than --pages-max {pages_max}")
        for number in range(len(document)):
            try:
                page = document[number]
                width, height = (round(points * dpi / _POINTS) for points in page.get_size())
                if width * height > MAX_PIXELS:
                    yield f"would be {width} x {height} pixels at {dpi} dpi; choose a lower --dpi"
                    continue
                yield _png(page.render(scale=dpi / _POINTS).to_pil(), dpi)
            except pdfium.PdfiumError:
                yield "cannot be rendered"


@contextmanager
def _closing(document: Any) -> Iterator[None]:
    try:
        yield
    finally:
        document.close()


def _frames(path: Path, pages_max: int) -> Iterator[bytes | str]:
    try:
        sizes = list(read_sizes("TIFF", path.read_bytes()))
    except (DamagedError, KeyError) as error:
        raise ValueError(f"is not a readable TIFF: {error}") from None
    if len(sizes) > pages_max:
        raise ValueError(f"has {len(sizes)} pages, more than --pages-max {pages_max}")
    if any(width * height > MAX_PIXELS for width, height in sizes):
        raise ValueError(f"has a page of more than {MAX_PIXELS // 10**6} megapixels")
    try:
        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                yield _png(frame, None)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"is not a readable TIFF: {error}") from None


def _png(image: Image.Image, dpi: int | None) -> bytes:
    fit = image if image.mode in {"1", "L", "RGB", "I;16", "RGBA"} else image.convert("RGB")
    file = io.BytesIO()
    fit.save(file, "PNG", compress_level=3, **({"dpi": (dpi, dpi)} if dpi else {}))
    return file.getvalue()
