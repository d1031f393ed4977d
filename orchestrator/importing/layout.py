"""A folder of ALTO or PAGE XML files with their images: a question per line or region, with its box.

\b
Example:
  bakeoff dataset import layout htr/ lines --level line
\b
Each zone is cut out of its page (--whole-page asks about the page instead, with the zone's box as answer_bbox). An
image is found by the name in the XML, or by the XML file's own, in its folder, the one above, or --images.
"""

import io
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from PIL import Image, ImageOps
from pydantic import Field

from orchestrator.errors import UsageError
from orchestrator.images import SUFFIXES
from orchestrator.importing.layout_xml import Page, Zone, read_page, to_pixels
from orchestrator.importing.local import Local
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.parsing import Frozen

_LEAST = 4  # pixels a side
_NAME_MAX = 200  # characters of a file's name; a longer one is none
_NOT_PAGES = {"mets.xml", "metadata.xml"}
_APART = "import the one or the other, or put the images in folders as those of the XML files"
_ERRORS = (OSError, ValueError, OverflowError, RecursionError)


class Options(Frozen):
    """What becomes a question, and how it is shown."""

    level: Literal["line", "region"] = Field("line", description="line or region.")
    question: str = Field("Transcribe all the text.", description="What is asked about each.")
    whole_page: bool = Field(default=False, description="Show the whole page and keep the zone's box.")
    margin: int = Field(0, ge=0, description="Pixels around a zone that is cut out.")
    images: str | None = Field(None, description="The folder with the images, where it is another one.")


def read(source: Source, options: Options, notify: Notify) -> Iterator[Record | Problem]:  # noqa: ARG001 - a kind's signature
    """Yield a question per zone with text, page by page in the order of paths; a Problem for what cannot be used."""
    folder = Path(source.given).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(f"{source.given}: is not a folder; give the one with the XML files")
    images = Path(options.images).expanduser().absolute() if options.images else None
    if images is not None and not images.is_dir():
        raise UsageError(f"--images {options.images}: is not a folder")
    local = Local(source, folder, *([images] if images else []))
    above = Local(source, folder.parent)
    files = sorted(p for p in folder.rglob("*.xml") if p.is_file() and p.name.lower() not in _NOT_PAGES)
    if not files:
        raise UsageError(f"{source.given}: has no XML files in it")
    found = {path: _look(path, folder, images, (local, above), options) for path in files}
    owners: dict[Path, list[Path]] = defaultdict(list)
    for path, image in found.items():
        if isinstance(image, Path):
            owners[image].append(path)
    for path, image in found.items():
        name = path.relative_to(folder).as_posix()
        if isinstance(image, str):
            yield Problem(name, image)
        elif others := [p.relative_to(folder).as_posix() for p in owners[image] if p != path]:
            yield Problem(name, f"its image {image.name} is that of {others[0]} too; {_APART}")
        else:
            yield from _zones(name, path, image, options)


def _look(path: Path, folder: Path, images: Path | None, fences: tuple[Local, Local], options: Options) -> Path | str:
    """Return the image of an XML file, or why there is none; what it says is read again later, one page at a time."""
    try:
        page = read_page(fences[0].find(path), options.level)
        image = _find_image(path, path.relative_to(folder).parent, page, images)
        if image is None:
            return f"its image {page.image or path.stem + '.*'} is not there; say where with --images"
        # what lies in the folder leads no higher; the one above is looked at only where nothing is in it
        fences[image.parent == folder.parent and images is None].picture(image)
    except _ERRORS as error:
        return _sentence(error)
    return image


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return str(error) if isinstance(error, ValueError) else "is nested too deep"


def _zones(name: str, xml: Path, path: Path, options: Options) -> Iterator[Record | Problem]:
    try:
        page = read_page(xml, options.level)
    except _ERRORS as error:
        yield Problem(name, _sentence(error))
        return
    if not page.zones:
        yield Problem(name, f"has no {options.level}s")
        return
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
    except (OSError, SyntaxError, ValueError) as error:
        yield Problem(name, f"its image {path.name} is damaged: {error}")
        return
    document = name.rpartition(".")[0]
    for number, zone in enumerate(page.zones, start=1):
        what = f"{name}, {zone.id or f'{options.level} {number}'}"
        if not zone.text.strip():
            yield Problem(what, "has no text")
        elif zone.box is None:
            yield Problem(what, "has no coordinates")
        else:
            yield _record(what, zone, f"{document}-{zone.id or number}", page, path, image, options, document)


def _record(
    what: str, zone: Zone, name: str, page: Page, path: Path, image: Image.Image, options: Options, document: str
) -> Record | Problem:
    assert zone.box is not None, "who calls has seen to it"
    box = to_pixels(page, zone.box, *image.size)
    if box[2] - box[0] < _LEAST or box[3] - box[1] < _LEAST:
        return Problem(what, f"its box {list(zone.box)} is outside the page or smaller than {_LEAST} pixels")
    metadata = {"page": path.name, "page_bbox": list(box), "zone": zone.kind}
    if options.whole_page:
        picture, answer_bbox = Picture(path.name, path), tuple(float(v) for v in box)
    else:
        picture, answer_bbox = Picture(f"{Path(name).name}.png", _cut(image, box, options.margin)), None
    return Record(
        question=options.question,
        answer=zone.text,
        images=(picture,),
        id=name,
        question_type=options.level,
        answer_bbox=answer_bbox,  # type: ignore[arg-type]
        document=document,
        metadata=metadata,
    )


def _cut(image: Image.Image, box: tuple[int, int, int, int], margin: int) -> bytes:
    x1, y1, x2, y2 = box
    grown = (max(0, x1 - margin), max(0, y1 - margin), min(image.width, x2 + margin), min(image.height, y2 + margin))
    part = image.crop(grown)
    file = io.BytesIO()
    (part if part.mode in {"1", "L", "RGB", "I;16"} else part.convert("RGB")).save(file, "PNG")
    return file.getvalue()


def _find_image(xml: Path, below: Path, page: Page, images: Path | None) -> Path | None:
    """Return the image of `xml`, which lies `below` its source; --images may have the same folders."""
    folders = [images / below, images] if images else [xml.parent, xml.parent.parent, xml.parent.parent / "images"]
    named = page.image.replace("\\", "/").rsplit("/", 1)[-1] if page.image else None
    for folder in folders:
        if named and len(named) < _NAME_MAX and (folder / named).is_file():
            return folder / named
        for stem in dict.fromkeys([Path(named).stem, xml.stem] if named else [xml.stem]):
            paths = folder.glob(f"{_literal(stem)}.*") if len(stem) < _NAME_MAX else ()
            found = sorted(p for p in paths if p.suffix.lower() in SUFFIXES and p.is_file())
            if found:
                return found[0]
    return None


def _literal(stem: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in stem)
