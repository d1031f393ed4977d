"""Turn image files into parts of a request, as their own bytes wherever an endpoint can read them."""

import asyncio
import io
import json
from dataclasses import dataclass, field

from pages import BadInputError, UnreachableError, open_pages
from PIL import Image
from pybase64 import b64encode
from sizes import find_mime, find_size

SUFFICES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}
_START = b'{"type":"image_url","image_url":{"url":"data:'


@dataclass(frozen=True)
class Picture:
    """An image as it is sent; `note` says what was done to it."""

    data: bytes
    mime: str
    size: tuple | None
    note: dict = field(default_factory=dict)

    def chunks(self, detail):
        """Return the part of a message's content, as chunks of JSON."""
        end = b'","detail":%b}}' % json.dumps(detail).encode() if detail else b'"}}'
        return [_START, self.mime.encode(), b";base64,", b64encode(self.data), end]

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
        with open(path, "rb") as file:  # noqa: ASYNC230, PTH123 - a thread costs more than most images
            data = file.read()
    except OSError as error:
        raise UnreachableError(f"{path}: {error.strerror}") from error
    mime = find_mime(data)
    if mime is None:
        return await asyncio.to_thread(_convert, path, max_side)
    size = find_size(data, mime)
    if max_side and size and max(size) > max_side:
        return [await asyncio.to_thread(_shrink, path, data, mime, max_side)]
    return [Picture(data, mime, size)]


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
            small = _as_shades(image)
            small.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
            shrunk = _encode(small, SUFFICES[mime], exif)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInputError(f"{path}: cannot be read as an image: {error}") from error
    return Picture(shrunk, mime, small.size, {"original": list(original)})


def _as_shades(image):
    """Return the image in a mode whose pixels can be averaged: of black, white or a palette Pillow drops most."""
    if image.mode == "P":
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.convert("L") if image.mode == "1" else image


def _encode(image, name, exif=b""):
    sink = io.BytesIO()
    options = {"quality": 95} if name in ("JPEG", "WEBP") else {}
    if exif and name != "GIF":
        options["exif"] = exif
    image.save(sink, name, **options)
    return sink.getvalue()
