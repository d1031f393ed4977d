"""How large an image is, by its header alone: what stands there cannot cost time or memory, whoever wrote it.

Pillow keeps what it meets before the pixels; a JPEG of 8 MB in two million segments cost it 4 s and 290 MB.
"""

import struct
import zlib
from collections.abc import Callable, Iterator

Size = tuple[int, int]

MAX_PAGES = 1000
MAX_PARTS = 200_000
_ENDS = "it ends too early"
_NO_PIXELS = "it holds no pixels"
_PARTS = f"it has more than {MAX_PARTS} parts"
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_TIFF_SIZES = ((256, 257), (322, 323))  # of the page, and of its tiles


class DamagedError(Exception):
    """Why a file of a known format cannot be read, as the end of a sentence."""


def find_format(data: bytes) -> str | None:
    """Return which of FORMATS `data` begins like."""
    return next((name for name, (is_ours, _) in _READERS.items() if is_ours(data)), None)


def read_sizes(name: str, data: bytes) -> Iterator[Size]:
    """Yield width and height in pixels of what decoding `data` makes room for: the image first, then further pages.

    Raises DamagedError; of pixels nothing is looked at.
    """
    is_empty = True
    try:
        for width, height in _READERS[name][1](data):
            if width <= 0 or height <= 0:
                raise DamagedError(f"it says that it has {width} x {height} pixels")
            is_empty = False
            yield width, height
    except (struct.error, IndexError, OverflowError):  # the last: an offset of 64 bits
        raise DamagedError(_ENDS) from None
    if is_empty:
        raise DamagedError(_NO_PIXELS)


def _read_png(data: bytes) -> Iterator[Size]:
    """PNG specification, section 5: chunks of length, type, data and CRC."""
    length, kind = struct.unpack_from(">I4s", data, 8)
    if kind != b"IHDR" or length != 13 or zlib.crc32(data[12:29]) != struct.unpack_from(">I", data, 29)[0]:  # noqa: PLR2004 - its length
        raise DamagedError("its header is broken")
    size = struct.unpack_from(">II", data, 16)
    at, has_pixels = 33, False
    for _ in range(MAX_PARTS):
        if at + 8 > len(data) or data[at + 4 : at + 8] == b"IEND":
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        has_pixels = has_pixels or kind == b"IDAT"
        at += 12 + length
    else:
        raise DamagedError(_PARTS)
    if at > len(data):
        raise DamagedError(_ENDS)
    if has_pixels:
        yield size


def _read_jpeg(data: bytes) -> Iterator[Size]:
    """ITU T.81, annex B: markers, most with a length; what stands between them is passed over."""
    at = 2
    for _ in range(MAX_PARTS):
        at = data.find(b"\xff", at)
        if at < 0:
            raise DamagedError(_ENDS)
        marker = data[at + 1]
        if marker in {0x00, 0xFF} or marker in _WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2  # noqa: PLR2004 - a fill byte
            continue
        if marker == _SCAN:
            return
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            yield width, height
        at += 2 + max(2, struct.unpack_from(">H", data, at + 2)[0])
    raise DamagedError(_PARTS)


def _read_gif(data: bytes) -> Iterator[Size]:
    """GIF89a: a screen, then blocks; the first frame may reach beyond the screen."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _palette(flags)
    parts = 0
    while data[at] != 0x2C:  # noqa: PLR2004 - a frame
        if data[at] == 0x3B:  # noqa: PLR2004 - the end
            raise DamagedError(_NO_PIXELS)
        is_extension = data[at] == 0x21  # noqa: PLR2004
        at += 2 if is_extension else 1
        while is_extension and data[at] and parts < MAX_PARTS:
            at += 1 + data[at]
            parts += 1
        at += is_extension
        parts += 1
        if parts >= MAX_PARTS:
            raise DamagedError(_PARTS)
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, at + 1)
    yield max(width, left + frame_width), max(height, top + frame_height)


def _palette(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _read_bmp(data: bytes) -> Iterator[Size]:
    """Bitmap headers: 12 bytes with 16-bit sizes, else longer with 32-bit ones; a small negative height counts down."""
    (header,) = struct.unpack_from("<I", data, 14)
    if header not in {12, 16, 40, 52, 56, 64, 108, 124}:
        raise DamagedError("its header is broken")
    width, height = struct.unpack_from("<HH" if header == 12 else "<II", data, 18)  # noqa: PLR2004 - as above
    yield width, 2**32 - height if height >= 0xFF000000 else height  # noqa: PLR2004 - so it is read by Pillow


def _read_webp(data: bytes) -> Iterator[Size]:
    """RFC 9649: the first chunk says the size; a frame lies within the canvas."""
    length, kind = struct.unpack_from("<I4x4s", data, 4)
    if 8 + length > len(data):
        raise DamagedError(_ENDS)
    if kind == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        yield (low_w | high_w << 16) + 1, (low_h | high_h << 16) + 1
    elif kind == b"VP8L" and data[20] == 0x2F:  # noqa: PLR2004 - its signature
        (bits,) = struct.unpack_from("<I", data, 21)
        yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        yield width & 0x3FFF, height & 0x3FFF


def _read_tiff(data: bytes) -> Iterator[Size]:
    """TIFF 6.0, section 2, and BigTIFF: a chain of directories, one a page."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in {b"+\0", b"\0+"}
    count_format, entry_format, next_format = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHI4s", "I")
    entry = struct.Struct(order + entry_format)
    (at,) = struct.unpack_from(order + next_format, data, 8 if is_big else 4)
    entries = 0
    for _ in range(MAX_PAGES):
        (count,) = struct.unpack_from(order + count_format, data, at)
        entries += count
        if entries > MAX_PARTS:
            raise DamagedError(_PARTS)
        start = at + struct.calcsize(order + count_format)
        end = start + count * entry.size
        # Some writers end the file with the last directory.
        (at,) = struct.unpack_from(order + next_format, data, end) if end != len(data) else (0,)
        yield from _page(entry.iter_unpack(data[start:end]), order)
        if at == 0:
            return
    raise DamagedError(f"it has more than {MAX_PAGES} pages")


def _page(entries: Iterator[tuple[int, int, int, bytes]], order: str) -> Iterator[Size]:
    found: dict[int, int] = {}
    for tag, kind, count, value in entries:
        if tag in {256, 257, 322, 323}:
            if kind not in _TIFF_TYPES or count != 1:
                raise DamagedError("its header is broken")
            found[tag] = max(found.get(tag, 0), struct.unpack_from(order + _TIFF_TYPES[kind], value)[0])
    for wide, high in _TIFF_SIZES:
        if wide in found or high in found or wide == 256:  # noqa: PLR2004 - tiles are optional
            yield found.get(wide, 0), found.get(high, 0)


_READERS: dict[str, tuple[Callable[[bytes], bool], Callable[[bytes], Iterator[Size]]]] = {
    "PNG": (lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), _read_png),
    "JPEG": (lambda data: data.startswith(b"\xff\xd8\xff"), _read_jpeg),
    "BMP": (lambda data: data.startswith(b"BM"), _read_bmp),
    "GIF": (lambda data: data.startswith((b"GIF87a", b"GIF89a")), _read_gif),
    "WEBP": (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _read_webp),
    "TIFF": (lambda data: data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")), _read_tiff),
}
FORMATS = tuple(_READERS)
