"""Take predictions out of a model's view so that they are asked again, and keep them beside it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.files import sync_folder
from orchestrator.results import keysets
from orchestrator.results.layout import predictions_path, set_aside_path
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.schema import PREDICTIONS
from orchestrator.results.view import compact, write_verified


def set_aside(run: Path, model: str, keys: Iterable[keysets.Keys]) -> int:
    """Move the predictions of `model` whose key is among `keys` to a new file in `old/`; return how many they are.

    The journals are compacted first. The copy is verified and on the disk before the view loses a row, so whoever kills
    this leaves every row in one of the two, or in both. Where none matches, nothing is written. Only the process that
    holds the run's lock may call this.
    """
    compact(run, model)
    view = predictions_path(run, model)
    if not view.is_file():
        return 0
    with ParquetReader(view, PREDICTIONS) as reader:
        there = keysets.joined(keysets.from_arrow(batch["key"]) for batch in reader.batches(["key"]))
        is_going = np.isin(there, keysets.joined(keys))
        if is_going.any():
            copy = set_aside_path(run, model)
            write_verified(copy, _chosen(reader, is_going), "the predictions are where they were")
            sync_folder(run)
            write_verified(view, _chosen(reader, ~is_going), f"the predictions are where they were and in {copy}")
        return int(is_going.sum())


def _chosen(reader: ParquetReader, mask: NDArray[np.bool_]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in reader.batches():
        chosen = mask[start : start + batch.num_rows]
        start += batch.num_rows
        if chosen.any():
            yield batch.filter(pa.array(chosen))
