"""Turn image files into parts of a request, as their own bytes wherever an endpoint can read them."""

import asyncio
import binascii
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

from pages import BadInputError, UnreachableError, open_pages
from PIL import Image

SUFFICES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}
_START = b'{"type":"image_url","image_url":{"url":"data:'


@dataclass(frozen=True)
class Picture:
    """An image as it is sent; `note` says what was done to it."""

    data: bytes
    mime: str
    size: tuple | None
    note: dict = field(default_factory=dict)

    def part(self, detail):
        """Return the part of a message's content, as JSON."""
        end = b'","detail":%b}}' % json.dumps(detail).encode() if detail else b'"}}'
        return b"".join((_START, self.mime.encode(), b";base64,", binascii.b2a_base64(self.data, newline=False), end))

    def info(self):
        """Return what is kept of it with the answer."""
        width, height = self.size or (None, None)
        return {"width": width, "height": height, "tokens": None, **self.note}


async def read_pictures(path, max_side):
    """Return the pictures in the file at `path`: one, or one for each page of a TIFF.

    PNG, JPEG, WEBP and GIF pass as they are, EXIF included. What else there is becomes PNG. Where `max_side` is not 0,
    a larger image is shrunk. Raises BadInputError, UnreachableError.
    """
    try:
        data = Path(path).read_bytes()  # noqa: ASYNC240 - a thread costs more than most images
    except OSError as error:
        raise UnreachableError(f"{path}: {error.strerror}") from error
    mime = find_mime(data)
    if mime is None:
        return await asyncio.to_thread(_convert, path, max_side)
    size = find_size(data)
    if max_side and size and max(size) > max_side:
        return [await asyncio.to_thread(_shrink, path, data, mime, max_side)]
    return [Picture(data, mime, size)]


def find_mime(data):
    """Return the MIME type by the content, None for what endpoints do not read."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "image/png"
    if data[:3] == b"\xff\xd8\xff":
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/gif" if data[:6] in (b"GIF87a", b"GIF89a") else None


def find_size(data):
    """Return width and height in pixels as stored; None where they cannot be told, which the endpoint may judge."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _convert(path, max_side):
    with Image.open(path) as image:
        name = image.format
    return [_as_png(page, max_side, name) for page in open_pages([path])]


def _as_png(page, max_side, name):
    note = {"converted_from": name}
    if max_side and max(page.size) > max_side:
        note["original"] = list(page.size)
        page.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return Picture(_encode(page, "PNG"), "image/png", page.size, note)


def _shrink(path, data, mime, max_side):
    """Return the picture with a longer side of `max_side`, in its own format and with its own EXIF."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            original, exif = image.size, image.info.get("exif", b"")
            small = image.convert("RGBA" if image.has_transparency_data else "RGB") if image.mode == "P" else image
            small.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
            shrunk = _encode(small, SUFFICES[mime], exif)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInputError(f"{path}: cannot be read as an image: {error}") from error
    return Picture(shrunk, mime, small.size, {"original": list(original)})


def _encode(image, name, exif=b""):
    sink = io.BytesIO()
    options = {"quality": 95} if name in ("JPEG", "WEBP") else {}
    if exif and name != "GIF":
        options["exif"] = exif
    image.save(sink, name, **options)
    return sink.getvalue()
