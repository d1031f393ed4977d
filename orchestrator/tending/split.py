"""Divide a dataset by document, or draw some of it: tables beside its own, which are datasets too."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator.datasets import Dataset, Sample
from orchestrator.datasets.columns import SPELLINGS
from orchestrator.datasets.table import SPLIT_SUFFIX, place
from orchestrator.errors import UsageError
from orchestrator.names import RULE, is_plain_name
from orchestrator.tending.tables import table_of, write_table


class Part(NamedTuple):
    """A part of a dataset: its table, and how many documents and samples are in it."""

    name: str
    path: Path
    documents: int
    samples: int


def split_dataset(dataset: Dataset, shares: Mapping[str, float], *, seed: int = 0) -> list[Part]:
    """Write a table per part beside the dataset's own; a document is in one part alone.

    A document's part depends on its name and `seed` only, so it stays where it is when others are added; parts have
    their shares of documents up to chance. Raises UsageError for names that cannot be files', or shares below 0.
    """
    total = sum(shares.values())
    if not shares or total <= 0 or min(shares.values()) < 0:
        raise UsageError("give the parts and their shares, as search=25 select=50 confirm=25")
    _check_names(shares)
    bounds, reached = [], 0.0
    for name, share in shares.items():
        reached += share / total
        bounds.append((reached, name))

    def part_of(document: str) -> str:
        at = _fraction(f"{seed}:{document}")
        return next((name for bound, name in bounds if at < bound), bounds[-1][1])

    numbers: dict[str, list[int]] = {name: [] for name in shares}
    documents: dict[str, set[str]] = {name: set() for name in shares}
    for number, sample in enumerate(dataset):
        document = document_of(sample)
        part = part_of(document)
        numbers[part].append(number)
        documents[part].add(document)
    return [_write(dataset, name, set(numbers[name]), len(documents[name])) for name in shares]


def sample_dataset(dataset: Dataset, count: int, name: str, *, seed: int = 0, per: str | None = None) -> Part:
    """Write a table of `count` samples drawn by hash; with `per` so many of each doc_class or question_type.

    The order of the dataset stays. Raises UsageError where there is nothing to draw.
    """
    if count < 1:
        raise UsageError(f"--n {count}: should be at least 1")
    _check_names([name])
    drawn: list[tuple[float, int, str | None, str]] = []
    for number, sample in enumerate(dataset):
        group = getattr(sample, per) if per else None
        drawn.append((_fraction(f"{seed}:{sample.id}"), number, group, document_of(sample)))
    taken: Counter[str | None] = Counter()
    chosen: dict[int, str] = {}
    for _, number, group, document in sorted(drawn):
        if taken[group] < count:
            taken[group] += 1
            chosen[number] = document
    return _write(dataset, name, set(chosen), len(set(chosen.values())))


def document_of(sample: Sample) -> str:
    """Return what a sample shares with those about the same document: its name, else its first image, else its id."""
    return sample.document or (sample.images[0].name if sample.images else sample.id)


def _fraction(text: str) -> float:
    """Return a number in [0, 1) that depends on `text` alone."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:7]) / 2**56


def _check_names(names: Mapping[str, float] | Sequence[str]) -> None:
    for name in names:
        if not is_plain_name(name):
            raise UsageError(f"'{name}' cannot name a part: {RULE}")


def _write(dataset: Dataset, name: str, numbers: set[int], documents: int) -> Part:
    """Write the rows of those numbers, each with the id that it has in the whole dataset."""
    table = table_of(dataset)
    stem = f"{dataset.path.stem}." if dataset.path.is_file() else ""
    path = table.path.with_name(f"{stem}{name}{SPLIT_SUFFIX}")
    has_ids = "id" in place(table.columns, SPELLINGS)
    columns = table.columns if has_ids else ("id", *table.columns)

    def rows() -> Iterator[Sequence[str]]:
        for number, (row, sample) in enumerate(zip(table.rows(), dataset, strict=True)):
            if number in numbers:
                yield row.cells if has_ids else (sample.id, *row.cells)

    return Part(name, path, documents, write_table(path, columns, rows()))
