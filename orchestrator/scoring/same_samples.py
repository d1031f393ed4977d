"""Whether two runs asked the same: the samples that both have, with their images, questions and references."""

import filecmp
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from orchestrator.errors import BakeoffError
from orchestrator.files import unreadable
from orchestrator.identity import canonical
from orchestrator.results.layout import SAMPLES_NAME
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.schema import SAMPLES
from orchestrator.scoring.cell_scores import Digests, digests

_COLUMNS = ("id", "question", "references", "images")


def check_same_samples(first: Path, second: Path) -> None:
    """Raise BakeoffError where a sample of both is not the same in both, they share none, or one has no samples."""
    paths = first / SAMPLES_NAME, second / SAMPLES_NAME
    if paths[0] == paths[1] or _are_one(*paths) or _hold_the_same(*paths):
        return
    (ids, contents), (other_ids, others) = (_read(path) for path in paths)
    shared, here, there = np.intersect1d(ids, other_ids, return_indices=True)
    if not len(shared):
        raise BakeoffError(f"{first.name} and {second.name} have no sample in common; nothing can be compared")
    differing = shared[contents[here] != others[there]]
    if len(differing):
        name = _find(paths[0], int(differing[0]))
        raise BakeoffError(
            f"{len(differing)} samples, such as '{name}', have another question, image or reference in {first.name} "
            f"than in {second.name}; run both on the same dataset"
        )


def _are_one(first: Path, second: Path) -> bool:
    """Tell whether both files have the same bytes; raise BakeoffError where one is not there or cannot be read."""
    try:
        return filecmp.cmp(first, second, shallow=False)
    except OSError as error:
        raise unreadable(Path(error.filename or first), error) from error


def _hold_the_same(first: Path, second: Path) -> bool:
    """Tell, quickly, that both files have the same samples in the same order; False where that takes a closer look."""
    pairs = itertools.zip_longest(_batches(first), _batches(second))
    return all(one is not None and other is not None and _are_alike(one, other) for one, other in pairs)


def _are_alike(one: pa.RecordBatch, other: pa.RecordBatch) -> bool:
    if not all(one[name].equals(other[name]) for name in ("id", "question", "references")):
        return False
    ours, theirs = one["images"], other["images"]
    shas, others = (images.flatten().field("sha256") for images in (ours, theirs))
    is_known = not shas.null_count and not others.null_count
    return is_known and ours.value_lengths().equals(theirs.value_lengths()) and shas.equals(others)


def _read(path: Path) -> tuple[Digests, Digests]:
    """Return digests of the ids and of the contents of all samples."""
    found = [(digests(batch["id"].to_pylist()), digests(_contents(batch))) for batch in _batches(path)]
    ids, contents = (np.concatenate([np.zeros(0, np.uint64), *parts]) for parts in zip(*found, strict=True))
    return ids, contents


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with ParquetReader(path, SAMPLES) as file:
        yield from file.batches(_COLUMNS)


def _contents(batch: pa.RecordBatch) -> Iterator[str]:
    for row in batch.to_pylist():
        images = [image["sha256"] or image["path"] for image in row["images"] or ()]
        yield canonical([row["question"], row["references"], images])


def _find(path: Path, digest: int) -> str:
    for batch in _batches(path):
        names = batch["id"].to_pylist()
        places = np.flatnonzero(digests(names) == np.uint64(digest))
        if len(places):
            return str(names[places[0]])
    raise AssertionError("the file changed while it was read")
