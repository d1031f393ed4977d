"""A contact sheet: samples with their images, boxes and answers on one HTML page that needs nothing else."""

import base64
import io
import itertools
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from orchestrator.datasets import Dataset, Sample
from orchestrator.datasets.fence import Fence, make_fence
from orchestrator.files import replacing
from orchestrator.images import probe

THUMBNAIL_PX = 420
CROP_PX = 420
_QUALITY = 78


def write_sheet(
    dataset: Dataset, path: Path, image_folders: tuple[Path, ...] = (), *, limit: int = 60, start: int = 0
) -> int:
    """Write `limit` samples from number `start` (from 0) to the page `path`; return how many there were.

    Images come as small JPEGs in the page; the answer's box is drawn, and cut out beside it.
    """
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only for pages

    refuse = make_fence(dataset.folder, image_folders)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("orchestrator.tending").joinpath("sheet.html").read_text("utf-8"))
    samples = list(_cards(itertools.islice(dataset, start, start + limit), refuse))
    with replacing(path) as temporary:
        text = template.render(name=dataset.name, start=start, samples=samples)
        temporary.write_text(text, encoding="utf-8", errors="replace")
    return len(samples)


def _cards(samples: Iterator[Sample], refuse: Fence) -> Iterator[dict[str, Any]]:
    for sample in samples:
        yield {
            "sample": sample,
            "images": [
                _picture(path, sample.answer_bbox if number == 0 else None, refuse)
                for number, path in enumerate(sample.images)
            ],
        }


def _picture(path: Path, box: tuple[float, ...] | None, refuse: Fence) -> dict[str, Any]:
    """Return an image as the page shows it, or why it cannot be shown."""
    defect = refuse(path) or probe(path).defect
    card: dict[str, Any] = {"name": path.name, "defect": defect, "source": None, "crop": None, "box": None}
    if defect:
        return card
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return {**card, "defect": f"{path.name} cannot be decoded ({' '.join(str(error).split())})"}
    width, height = image.size
    card["size"] = f"{width} x {height}"
    if box is not None:
        x1, y1, x2, y2 = (min(max(0.0, v), float(m)) for v, m in zip(box, (width, height) * 2, strict=True))
        card["box"] = {
            "left": 100 * x1 / width,
            "top": 100 * y1 / height,
            "width": 100 * max(0.0, x2 - x1) / width,
            "height": 100 * max(0.0, y2 - y1) / height,
        }
        if x2 - x1 >= 1 and y2 - y1 >= 1:
            margin = 0.25 * (y2 - y1)
            part = image.crop((round(x1 - margin), round(y1 - margin), round(x2 + margin), round(y2 + margin)))
            card["crop"] = _to_source(part, CROP_PX)
    card["source"] = _to_source(image, THUMBNAIL_PX)
    return card


def _to_source(image: Image.Image, most: int) -> str:
    small = image.copy()
    small.thumbnail((most, most * 2))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
