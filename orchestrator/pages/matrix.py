"""What the page's matrix shows: samples by columns, each text once, as plain data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.pages.block import without_nothing
from orchestrator.pages.chosen import Choice
from orchestrator.pages.pictures import Album, Pictures
from orchestrator.pages.totals import CellKey
from orchestrator.results.layout import SAMPLES_NAME
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.schema import SAMPLES

LONGEST = 4_000  # characters of a text on the page
SHORTEST = 200
TEXT_BUDGET = 12_000_000  # characters of all texts together
_SAMPLE = ("id", "images", "question", "references", "doc_class", "question_type", "answer_bbox", "document")
_DIGITS = 5


@dataclass(slots=True)
class Texts:
    """Texts by number; each is held once, and no longer than `LONGEST`."""

    values: list[str] = field(default_factory=list)
    more: dict[int, int] = field(default_factory=dict)  # by number, how many characters are not shown
    _numbers: dict[str, int] = field(default_factory=dict)

    def add(self, text: str) -> int:
        """Return the number of `text`."""
        shown = text[:LONGEST]
        # two long texts that begin alike are two: the rest of them tells
        name = shown if len(text) <= LONGEST else f"{shown}\0{len(text)}\0{hash(text)}"
        number = self._numbers.setdefault(name, len(self.values))
        if number == len(self.values):
            self.values.append(shown)
            if len(text) > LONGEST:
                self.more[number] = len(text) - LONGEST
        return number

    def fit(self, pages: int = 1) -> int:
        """Cut all texts so far that they fit their part of the budget; return how long the longest may be."""
        longest = LONGEST
        while longest > SHORTEST and sum(min(len(text), longest) for text in self.values) > TEXT_BUDGET // pages:
            longest = max(SHORTEST, longest // 2)
        for number, text in enumerate(self.values):
            if len(text) > longest:
                self.values[number] = text[:longest]
                self.more[number] = self.more.get(number, 0) + len(text) - longest
        return longest


@dataclass(slots=True)
class Matrix:
    """The answers to the samples chosen, taken from the rows of a run as these go by."""

    choice: Choice
    columns: Sequence[CellKey]
    metrics: Sequence[str]
    texts: Texts = field(default_factory=Texts)
    cells: list[list[list[dict[str, Any]] | None]] = field(init=False)
    _places: dict[str, int] = field(init=False)
    _numbers: dict[CellKey, int] = field(init=False)

    def __post_init__(self) -> None:
        """Make room for each sample and column."""
        self._places = {sample: place for place, sample in enumerate(self.choice.ids)}
        self._numbers = {column: number for number, column in enumerate(self.columns)}
        self.cells = [[None] * len(self.columns) for _ in self.choice.ids]

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one answer, if its sample is shown."""
        place = self._places.get(row["sample_id"])
        if place is None:
            return
        number = self._numbers[row["model"], row["params"], row["prompt"]]
        answers = self.cells[place][number]
        if answers is None:
            answers = self.cells[place][number] = []
        answers.append(self._answer(row))

    def _answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        scores = [None if row.get(name) is None else _rounded(row[name]) for name in self.metrics]
        return without_nothing(
            {
                "t": None if row["answer"] is None else self.texts.add(row["answer"]),
                "s": None if row["status"] == "ok" else row["status"],
                "e": self.texts.add(row["error_message"]) if row["error_message"] else None,
                "k": row["error_kind"],
                "r": None if row["stop_reason"] == "stop" else row["stop_reason"],
                "l": None if row["latency_s"] is None else round(row["latency_s"], 3),
                "i": row["input_tokens"],
                "o": row["output_tokens"],
                "c": row["cost"],
                "m": scores,
            }
        )


def _rounded(score: float) -> float:
    """Return a score with the digits that the page needs: nearly right is not right."""
    short = round(score, _DIGITS)
    return score if short in (0, 1) else short


def read_samples(run: Path, choice: Choice, texts: Texts) -> Iterator[dict[str, Any]]:
    """Yield the samples chosen as the page has them, with what `take_pictures` needs under `images` and `box`."""
    wanted = pa.array(choice.ids, pa.string())
    with ParquetReader(run / SAMPLES_NAME, SAMPLES) as file:
        for batch in file.batches(_SAMPLE):
            kept = batch if choice.is_all else batch.filter(pc.is_in(batch["id"], value_set=wanted))
            for row in kept.slice(0, len(choice.ids)).to_pylist():
                yield {
                    "id": row["id"],
                    "question": texts.add(row["question"] or ""),
                    "references": [texts.add(text) for text in row["references"] or ()],
                    **without_nothing({name: row[name] for name in ("doc_class", "question_type", "document")}),
                    "images": row["images"] or [],
                    "box": row["answer_bbox"],
                }


def take_pictures(
    samples: Sequence[dict[str, Any]], pictures: Pictures, pages: int = 1
) -> tuple[list[dict[str, Any]], int]:
    """Put numbers of pictures in the place of the samples' paths; return the pictures and how many were left out."""
    names = {image["path"] for sample in samples for image in sample["images"]}
    boxes = sum(1 for sample in samples if sample["images"] and sample["box"])
    album = Album(pictures, pages * (len(names) + boxes), pages)
    made: list[dict[str, Any]] = []
    numbers: dict[str, int] = {}
    for sample in samples:
        images, box = sample.pop("images"), sample.pop("box")
        sample["names"] = [Path(image["path"]).name for image in images]
        if pictures == "none" or not images:
            continue
        for image in images:
            if image["path"] not in numbers:
                numbers[image["path"]] = len(made)
                made.append(album.image(Path(image["path"]), image["sha256"]))
        sample["pictures"] = [numbers[image["path"]] for image in images]
        if box:
            _put_box(sample, made, album, images[0], tuple(box))
    return made, album.left_out


def _put_box(
    sample: dict[str, Any], made: list[dict[str, Any]], album: Album, image: Mapping[str, Any], box: tuple[float, ...]
) -> None:
    path, sha256 = Path(image["path"]), image["sha256"]
    if (share := album.relative(path, sha256, box)) is not None:
        sample["box"] = share
    if (crop := album.crop(path, sha256, box)) is not None:
        sample["crop"] = len(made)
        made.append(crop)
