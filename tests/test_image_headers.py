"""A header tells an image's size as Pillow would, and no header, however hostile, costs time or memory."""

import io
import json
import random
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image

from orchestrator.image_headers import MAX_PAGES, MAX_PARTS, DamagedError, find_format, read_sizes
from orchestrator.images import FORMATS, MAX_PIXELS
from tests.test_images import _chunk

NOISE = Image.effect_noise((60, 40), 50)


def saved(format_, mode="RGB", **options):
    buffer = io.BytesIO()
    (Image.new(mode, (60, 40)) if ";" in mode else NOISE.convert(mode)).save(buffer, format_, **options)
    return buffer.getvalue()


MORE = {"save_all": True, "append_images": [NOISE.convert("RGB").rotate(90), NOISE.convert("RGB")]}
REAL = {
    **{f"png {mode}": saved("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    **{f"jpeg {mode}": saved("JPEG", mode, progressive=mode == "L") for mode in ("L", "RGB", "CMYK")},
    **{f"bmp {mode}": saved("BMP", mode) for mode in ("1", "L", "P", "RGB")},
    **{f"tiff {name}": saved("TIFF", compression=name) for name in ("raw", "tiff_lzw", "jpeg", "packbits")},
    "tiff fax": saved("TIFF", "1", compression="group4"),
    "tiff big": saved("TIFF", big_tiff=True),
    **{f"several {name}": saved(name, **MORE) for name in ("GIF", "TIFF", "WEBP", "PNG", "MPO")},
    **{
        f"webp {mode} {lossless}": saved("WEBP", mode, lossless=lossless)
        for mode in ("RGB", "RGBA")
        for lossless in (0, 1)
    },
    "gif": saved("GIF", "P"),
    "exif": saved("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", icc_profile=b"x" * 100_000),
}


@pytest.mark.parametrize("kind", REAL)
def test_the_size_is_what_pillow_says(kind):
    sizes = list(read_sizes(find_format(REAL[kind]), REAL[kind]))
    assert sizes[0] == (60, 40)
    assert len(sizes) == (3 if kind == "several TIFF" else 1)


@pytest.mark.slow
def test_what_pillow_opens_is_never_larger_than_we_say():
    """A damaged header is refused or read alike; 4,000 of them are tried."""
    chance = random.Random(3)
    for _ in range(4000):
        data = bytearray(chance.choice(list(REAL.values())))
        for _ in range(chance.choice([1, 2, 4, 16])):
            data[chance.randrange(min(len(data), chance.choice([16, 64, 256])))] = chance.choice([0, 1, 127, 255])
        ours, theirs = _ours(bytes(data)), _pillows(bytes(data))
        assert not ours or ours >= theirs, bytes(data[:256]).hex()


def _ours(data):
    name = find_format(data)
    try:
        return max(width * height for width, height in read_sizes(name, data)) if name else 0
    except DamagedError:
        return 0


@pytest.mark.filterwarnings("ignore")
def _pillows(data):
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.width * image.height
    except Image.DecompressionBombError:
        return MAX_PIXELS
    except Exception:
        return 0


# Hostile files


def _png(width, height, *chunks, pixels=b"\0" * 40):
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IDAT", zlib.compress(pixels)) + _chunk(b"IEND", b"")
    )


def _segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def _jpeg(width, height, before=b""):
    frame = _segment(0xC0, b"\x08" + struct.pack(">HH", height, width) + b"\x01\x01\x11\0")
    return b"\xff\xd8" + before + frame + _segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\0\xff\xd9"


def _gif(width, height, before=b"", frame=(10, 10)):
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0" * 6
    return screen + before + _frame(*frame) + b";"


def _frame(width, height):
    return b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\0"


def _bmp(width, height, header=40):
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, header, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def _webp(kind, data):
    return b"RIFF" + struct.pack("<I", len(data) + 12) + b"WEBP" + kind + struct.pack("<I", len(data)) + data


def _canvas(width, height):
    return bytes([2, 0, 0, 0]) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]


def _tiff(*sizes, tags=(), then=0):
    """Return a TIFF of pages of `sizes`; the last points at `then`, 0 for none."""
    out = bytearray(b"II*\0\x08\0\0\0")
    for number, (width, height) in enumerate(sizes, start=1):
        entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (273, 4, 1, 8), *tags]
        page = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        following = len(out) + len(page) + 4 if number < len(sizes) else then
        out += page + struct.pack("<I", following)
    return bytes(out)


PIXELS = "megapixels; make it smaller"
ENDS = "it ends too early"
PARTS = f"it has more than {MAX_PARTS} parts"
MANY = MAX_PARTS + 1
HOSTILE = {
    "png pixels": (_png(20_000, 20_000), "20000 x 20000 pixels"),
    "png most pixels": (_png(2**32 - 1, 2**32 - 1), PIXELS),
    "png no pixels": (_png(0, 10), "0 x 10 pixels"),
    "png broken header": (_png(10, 10).replace(b"IHDR\0", b"IHDR\1"), "its header is broken"),
    "png claims 1 GB": (_png(10, 10)[:33] + struct.pack(">I", 2**30) + b"IDAT" + b"x" * 99, ENDS),
    "png without pixels": (_png(10, 10)[:33] + _chunk(b"IEND", b""), "it holds no pixels"),
    "png cut": (saved("PNG")[:-30], ENDS),
    "png chunks": (_png(10, 10, _chunk(b"abCd", b"") * MANY), PARTS),
    "png text bomb": (_png(10, 10, _chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 10**7))), None),
    "png profile bomb": (_png(10, 10, _chunk(b"iCCP", b"k\0\0" + zlib.compress(b"\0" * 10**7))), None),
    "png pixel bomb": (_png(10, 10, pixels=b"\0" * 10**7), None),
    "jpeg pixels": (_jpeg(65_500, 65_500), "65500 x 65500 pixels"),
    "jpeg second frame": (_jpeg(10, 10, _jpeg(65_500, 65_500)[2:20]), PIXELS),
    "jpeg no height": (_jpeg(10, 0), "10 x 0 pixels"),
    "jpeg segments": (_jpeg(10, 10, _segment(0xE5, b"") * MANY), PARTS),
    "jpeg fill": (b"\xff\xd8" + b"\xff" * 2_000_000, PARTS),
    "jpeg cut": (saved("JPEG")[:100], ENDS),
    "jpeg polyglot": (_jpeg(10, 10, _segment(0xFE, b"--><script>alert(1)</script>")), None),
    "gif pixels": (_gif(65_535, 65_535), "65535 x 65535 pixels"),
    "gif frame beyond the screen": (_gif(10, 10, frame=(65_000, 65_000)), "65000 x 65000 pixels"),
    "gif comments": (_gif(10, 10, b"\x21\xfe\x01c\0" * MANY), PARTS),
    "gif one comment": (_gif(10, 10, b"\x21\xfe" + b"\x01c" * MANY + b"\0"), PARTS),
    "gif frames": (_gif(10, 10)[:-1] + _frame(10, 10) * 100_000 + b";", None),
    "gif cut": (saved("GIF", "P")[:200], ENDS),
    "gif no frame": (_gif(10, 10)[:19] + b";", "it holds no pixels"),
    "bmp pixels": (_bmp(30_000, 30_000), "30000 x 30000 pixels"),
    "bmp upside down": (_bmp(30_000, -30_000), "30000 x 30000 pixels"),
    "bmp negative": (_bmp(-30_000, 10), PIXELS),
    "bmp header": (_bmp(10, 10, header=2**31), "its header is broken"),
    "bmp cut": (_bmp(10, 10)[:20], ENDS),
    "webp canvas": (_webp(b"VP8X", _canvas(16_383, 16_383)), "16383 x 16383 pixels"),
    "webp lossless": (_webp(b"VP8L", b"\x2f\xff\xff\xff\x0f\0\0\0\0\0"), "16384 x 16384 pixels"),
    "webp lossy": (_webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f"), "16383 x 16383 pixels"),
    "webp cut": (saved("WEBP")[:-30], ENDS),
    "webp other": (_webp(b"JUNK", b"x" * 20), "it holds no pixels"),
    "tiff pixels": (_tiff((60_000, 60_000)), "60000 x 60000 pixels"),
    "tiff second page": (_tiff((10, 10), (60_000, 60_000)), "60000 x 60000 pixels"),
    "tiff pages": (_tiff(*[(10, 10)] * (MAX_PAGES + 1)), f"it has more than {MAX_PAGES} pages"),
    "tiff loop": (_tiff((10, 10), then=8), f"it has more than {MAX_PAGES} pages"),
    "tiff tags": (_tiff(*[(10, 10)] * 4, tags=[(40_000, 3, 1, 7)] * 65_000), PARTS),
    "tiff tag of 2 GB": (_tiff((10, 10), tags=[(40_000, 7, 2**31, 8)]), None),
    "tiff tiles": (_tiff((10, 10), tags=[(322, 4, 1, 60_000), (323, 4, 1, 60_000)]), "60000 x 60000 pixels"),
    "tiff two widths": (_tiff((10, 10_000), tags=[(256, 4, 1, 60_000)]), "60000 x 10000 pixels"),
    "tiff cut": (_tiff((10, 10))[:40], ENDS),
    "tiff of 64 bits": (b"II+\0\x08\0\0\0" + b"\xff" * 20, ENDS),
    "svg": (
        b'<svg><image href="file:///etc/passwd"/></svg>',
        "looks like HTML or XML",
    ),
    "html": (b"<script>alert(1)</script>", "looks like HTML or XML"),
    "empty": (b"", "the image is empty"),
    "one byte": (b"\xff", "looks like none of PNG"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n", "looks like text"),
    "fits": (b"SIMPLE  =                    T" + b" " * 2850, "looks like text"),
    "noise": (bytes(range(128, 256)) * 8, "looks like none of PNG"),
}
_PROBE_ALL = """
import json, resource, sys, time
from pathlib import Path
from orchestrator.images import probe
found, longest = {}, 0.0
for path in Path(sys.argv[1]).iterdir():
    began = time.perf_counter()
    found[path.name] = probe(path).defect
    longest = max(longest, time.perf_counter() - began)
status = Path("/proc/self/status")  # the other figure has what our parent had before we began
if status.exists():
    peak = int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([found, longest, peak]))
"""


def test_hostile_files_are_told_in_a_sentence_and_cost_nothing(tmp_path):
    for name, (data, _) in HOSTILE.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", _PROBE_ALL, str(tmp_path)]
    process = subprocess.run(command, capture_output=True, check=True, text=True)
    found, longest_s, peak_bytes = json.loads(process.stdout)
    assert process.stderr == ""
    assert found.keys() == HOSTILE.keys()
    for name, (_, words) in HOSTILE.items():
        if words is None:
            assert found[name] is None, name
        else:
            assert found[name].startswith(f"{tmp_path / name}: "), name
            assert words in found[name], name
            assert "\n" not in found[name]
    assert longest_s < 10  # half a second; a bomb would take for ever
    assert peak_bytes < 300e6
