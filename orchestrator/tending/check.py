"""Look at every sample of a dataset before a model does: what cannot be asked, and what is likely not meant."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from orchestrator.datasets import Dataset, Sample
from orchestrator.datasets.fence import Fence, make_fence
from orchestrator.images import MAX_PIXELS, MISSING, Probe, probe

_ORIENTATION = 0x0112
TEXT_PX = 10  # a line of text that is lower is hardly legible
SIDE_PX = 16
ASPECT = 40
_KEPT = 1000  # complaints of a kind; the rest is counted

ERRORS = ("missing", "unreadable", "outside folder", "box outside", "box empty", "contradiction")
WARNINGS = (
    *("same question", "same image", "rotated by EXIF", "tiny image", "tiny text", "long image", "no answer"),
    *("empty answer", "spaces around answer"),
)


class Complaint(NamedTuple):
    """What is wrong with one sample, and why that matters."""

    sample: str
    sentence: str


@dataclass(slots=True)
class Check:
    """What was found: complaints by kind, the first of each kept, all counted."""

    samples: int = 0
    images: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    complaints: dict[str, list[Complaint]] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """How many complaints are of samples that cannot be asked as they should."""
        return sum(n for kind, n in self.counts.items() if kind in ERRORS)

    def add(self, kind: str, sample: str, sentence: str) -> None:
        """Note a complaint."""
        self.counts[kind] += 1
        kept = self.complaints.setdefault(kind, [])
        if len(kept) < _KEPT:
            kept.append(Complaint(sample, sentence))


class _Seen(NamedTuple):
    """What is known of an image."""

    probe: Probe
    orientation: int
    defect: str | None


def check_dataset(
    dataset: Dataset,
    image_folders: Sequence[Path] = (),
    *,
    decode: bool = True,
    notify: Callable[[str], None] = lambda _: None,
) -> Check:
    """Look at all samples; with `decode` every image is decoded, which finds damage that its header does not show.

    Raises BakeoffError for a table that cannot be read at all.
    """
    found = Check()
    look = _Looker(make_fence(dataset.folder, image_folders), decode=decode)
    asked: dict[bytes, tuple[str, tuple[str, ...]]] = {}
    for sample in dataset:
        found.samples += 1
        seen = [look(path) for path in sample.images]
        _check_images(found, sample, seen)
        _check_answer(found, sample)
        _check_box(found, sample, seen)
        _check_repetition(found, sample, seen, asked)
        if found.samples % 1000 == 0:
            notify(f"{found.samples} samples looked at")
    found.images = len(look.known)
    for twins in look.twins():
        found.add("same image", twins[0].name, f"has the same bytes as {', '.join(p.name for p in twins[1:4])}")
    return found


class _Looker:
    """Looks at each image once."""

    def __init__(self, refuse: Fence, *, decode: bool) -> None:
        self.known: dict[Path, _Seen] = {}
        self._refuse, self._decode = refuse, decode

    def __call__(self, path: Path) -> _Seen:
        if path not in self.known:
            self.known[path] = self._look(path)
        return self.known[path]

    def twins(self) -> list[list[Path]]:
        """Return the images of the same bytes."""
        by_digest: dict[str, list[Path]] = {}
        for path, seen in self.known.items():
            if seen.probe.sha256:
                by_digest.setdefault(seen.probe.sha256, []).append(path)
        return [paths for paths in by_digest.values() if len(paths) > 1]

    def _look(self, path: Path) -> _Seen:
        if sentence := self._refuse(path):
            is_missing = sentence.endswith(MISSING)
            return _Seen(Probe(None, None, None, sentence), 1, "missing" if is_missing else "outside folder")
        seen = probe(path)
        if seen.defect:
            return _Seen(seen, 1, "missing" if seen.defect.endswith(MISSING) else "unreadable")
        return self._decoded(path, seen)

    def _decoded(self, path: Path, seen: Probe) -> _Seen:
        orientation = 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd metadata, which no model sees
                with Image.open(path) as image:
                    orientation = image.getexif().get(_ORIENTATION, 1)
                    if self._decode and (seen.width or 0) * (seen.height or 0) <= MAX_PIXELS:
                        image.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            reason = " ".join(str(error).split())
            defect = f"{path}: cannot be decoded ({reason}); some models would fail on it, others see half of it"
            return _Seen(replace(seen, defect=defect), 1, "unreadable")
        return _Seen(seen, orientation if isinstance(orientation, int) else 1, None)


def _check_images(found: Check, sample: Sample, seen: Sequence[_Seen]) -> None:
    for path, image in zip(sample.images, seen, strict=True):
        if image.defect:
            found.add(image.defect, sample.id, image.probe.defect or "")
            continue
        width, height = image.probe.width or 0, image.probe.height or 0
        if image.orientation not in (0, 1):
            found.add("rotated by EXIF", sample.id, f"{path.name} is stored turned; not every model turns it back")
        if min(width, height) < SIDE_PX:
            found.add("tiny image", sample.id, f"{path.name} has {width} x {height} pixels")
        elif max(width, height) > ASPECT * min(width, height):
            found.add(
                "long image", sample.id, f"{path.name} has {width} x {height} pixels; models shrink it to nothing"
            )


def _check_answer(found: Check, sample: Sample) -> None:
    if not sample.references:
        found.add("no answer", sample.id, "has no answer to compare with")
    for text in sample.references:
        if not text.strip():
            found.add("empty answer", sample.id, "its answer is empty: right is who answers nothing")
        elif text != text.strip():
            found.add("spaces around answer", sample.id, f"its answer is '{text[:60]}'")


def _check_box(found: Check, sample: Sample, seen: Sequence[_Seen]) -> None:
    if sample.answer_bbox is None:
        return
    x1, y1, x2, y2 = sample.answer_bbox
    if x2 <= x1 or y2 <= y1:
        found.add("box empty", sample.id, f"its box {list(sample.answer_bbox)} has no area")
        return
    if not seen or seen[0].defect:
        return
    width, height = seen[0].probe.width or 0, seen[0].probe.height or 0
    if seen[0].orientation > 4:  # noqa: PLR2004 - the four that lie on their side
        width, height = max(width, height), max(width, height)
    if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
        told = f"its box {list(sample.answer_bbox)} leaves the image of {width} x {height} pixels"
        found.add("box outside", sample.id, told)
    elif y2 - y1 < TEXT_PX and x2 - x1 > y2 - y1:
        found.add("tiny text", sample.id, f"its box is {y2 - y1:g} pixels high")


def _check_repetition(
    found: Check, sample: Sample, seen: Sequence[_Seen], asked: dict[bytes, tuple[str, tuple[str, ...]]]
) -> None:
    told = "\0".join(
        [sample.question, *(image.probe.sha256 or str(p) for image, p in zip(seen, sample.images, strict=True))]
    )
    key = hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest()
    first = asked.setdefault(key, (sample.id, sample.references))
    if first[0] == sample.id:
        return
    if set(first[1]) & set(sample.references) or not (first[1] or sample.references):
        found.add("same question", sample.id, f"asks the same of the same image as {first[0]}")
    else:
        found.add("contradiction", sample.id, f"asks the same of the same image as {first[0]}, with another answer")
