"""Small images for a page: each image of the samples shown, and the answer's box cut out, within a budget of bytes."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from PIL import Image, ImageOps

from orchestrator.images import probe

Pictures = Literal["none", "thumb", "full"]
PICTURES: tuple[Pictures, ...] = get_args(Pictures)

_Box = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Level:
    """How images are made: their longest side and that of a box cut out, in pixels, and JPEG's quality."""

    side: int
    crop: int
    quality: int


_FULL = _Level(1600, 800, 80)
_THUMBS = (
    (400, _Level(480, 420, 62)),
    (1200, _Level(320, 300, 52)),
    (2500, _Level(224, 240, 45)),
    (4500, _Level(180, 220, 42)),
)
_SMALLEST = _Level(144, 180, 40)
BUDGET: Mapping[Pictures, int] = {"none": 0, "thumb": 15_000_000, "full": 200_000_000}  # bytes of the page
_MARGIN = 0.35  # of a box's height: what is cut out around it


@dataclass(slots=True)
class Album:
    """Makes pictures one after the other; `left_out` counts those that the budget had no room for.

    `about` is how many there will be, of which the size follows; `pages` share the budget. An image
    is shown only where it still has the digest that the run recorded, so that a run of another machine cannot put other
    files of this one into a page.
    """

    pictures: Pictures
    about: int
    pages: int = 1
    left_out: int = 0
    used: int = 0
    _made: dict[str, Image.Image | str] = field(default_factory=dict)

    def image(self, path: Path, sha256: str | None) -> dict[str, Any]:
        """Return the image with its `source`, `width` and `height`, or with the `defect` that it has."""
        opened, level = self._open(path, sha256), self._level()
        return {"defect": opened} if isinstance(opened, str) else self._picture(opened, level.side, level.quality)

    def crop(self, path: Path, sha256: str | None, box: _Box) -> dict[str, Any] | None:
        """Return what is in the box, as `image` does; None where there is nothing."""
        opened, level = self._open(path, sha256), self._level()
        part = None if isinstance(opened, str) else _cut_out(opened, box)
        return None if part is None else self._picture(part, level.crop, level.quality)

    def relative(self, path: Path, sha256: str | None, box: _Box) -> list[float] | None:
        """Return the box as left, top, width and height in hundredths of the image; None where that is not shown."""
        opened = self._open(path, sha256)
        if isinstance(opened, str):
            return None
        x1, y1, x2, y2 = _within(box, opened.size)
        width, height = opened.size
        shares = (x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height)
        return [round(100 * share, 2) for share in shares]

    def _open(self, path: Path, sha256: str | None) -> Image.Image | str:
        """Return the image, upright, or why it cannot be shown; the last one is kept."""
        name = str(path)
        if name not in self._made:
            self._made = {name: _open_image(path, sha256)}
        return self._made[name]

    def _level(self) -> _Level:
        if self.pictures == "full":
            return _FULL
        return next((level for most, level in _THUMBS if self.about <= most), _SMALLEST)

    def _picture(self, image: Image.Image, side: int, quality: int) -> dict[str, Any]:
        if self.used >= BUDGET[self.pictures] // self.pages:
            self.left_out += 1
            return {"defect": "left out, or the page would be too large"}
        share = min(1.0, side / max(image.size))
        size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
        small = image if share == 1 else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        file = io.BytesIO()
        small.save(file, "JPEG", quality=quality, optimize=True)
        source = base64.b64encode(file.getvalue()).decode()
        self.used += len(source)
        return {"source": source, "width": small.width, "height": small.height}


def _open_image(path: Path, sha256: str | None) -> Image.Image | str:
    found = probe(path)
    if found.defect:
        return found.defect.removeprefix(f"{path}: ")
    if found.sha256 != sha256:
        return "the file has changed since it was asked about" if sha256 else "it was never read for this run"
    try:
        with Image.open(path) as opened:
            opened.load()
            ImageOps.exif_transpose(opened, in_place=True)
            return opened if opened.mode == "RGB" else opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"cannot be decoded ({' '.join(str(error).split())})"


def _within(box: _Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (min(max(0.0, v), float(most)) for v, most in zip(box, size * 2, strict=True))
    return x1, y1, max(x1, x2), max(y1, y2)


def _cut_out(image: Image.Image, box: _Box) -> Image.Image | None:
    x1, y1, x2, y2 = _within(box, image.size)
    if x2 - x1 < 1 or y2 - y1 < 1:
        return None
    margin = _MARGIN * (y2 - y1)
    wide = _within((x1 - margin, y1 - margin, x2 + margin, y2 + margin), image.size)
    left, top, right, bottom = (round(each) for each in wide)
    return image.crop((left, top, right, bottom))
