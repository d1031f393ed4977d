"""Tell formats and sizes of images by their first bytes; opening each with Pillow would cost as much as sending it."""

import io
import struct

from PIL import Image

_BARE = {0x01, *range(0xD0, 0xD9)}  # JPEG markers without a length
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SEGMENTS = 1000


def find_mime(data):
    """Return the MIME type by the content, None for what endpoints do not read."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "image/png"
    if data[:3] == b"\xff\xd8\xff":
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/gif" if data[:6] in (b"GIF87a", b"GIF89a") else None


def find_size(data, mime):
    """Return width and height in pixels as stored; None where they cannot be told, which the endpoint may judge."""
    try:
        if mime == "image/png":
            return struct.unpack_from(">II", data, 16)
        if mime == "image/gif":
            return struct.unpack_from("<HH", data, 6)
        if mime == "image/jpeg":
            return _read_jpeg(data)
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError):
        return None


def _read_jpeg(data):
    """Return the size in the frame header (ITU-T T.81, B.2.2); None where there is none."""
    at = 2
    for _ in range(_SEGMENTS):
        marker = data.find(b"\xff", at) + 1
        while marker and data[marker : marker + 1] == b"\xff":  # fill bytes
            marker += 1
        if not marker or marker >= len(data):
            return None
        if data[marker] in _FRAMES:
            height, width = struct.unpack_from(">HH", data, marker + 4)
            return width, height
        at = marker + 1
        if data[marker] not in _BARE:
            at += struct.unpack_from(">H", data, at)[0]
    return None
