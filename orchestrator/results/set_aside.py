"""Take predictions out of a model's view so that they are asked again, and keep them beside it."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.files import disk_errors, sync_folder
from orchestrator.results import keysets
from orchestrator.results.layout import predictions_path, set_aside_folder, set_aside_path
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.schema import PREDICTIONS
from orchestrator.results.view import compact, merged, write_verified


def set_aside(run: Path, model: str, keys: Iterable[keysets.Keys]) -> tuple[int, Path | None]:
    """Move the predictions of `model` whose key is among `keys` to a new file in `old/`; return their number and it.

    The journals are compacted first. The copy is verified and on the disk before the view loses a row, so whoever kills
    this leaves every row in one of the two, or in both. Where none matches, nothing is written. Only the process that
    holds the run's lock may call this.
    """
    compact(run, model)
    view = predictions_path(run, model)
    if not view.is_file():
        return 0, None
    copy = None
    with ParquetReader(view, PREDICTIONS) as reader:
        there = keysets.joined(keysets.from_arrow(batch["key"]) for batch in reader.batches(["key"]))
        is_going = np.isin(there, keysets.joined(keys))
        if is_going.any():
            copy = set_aside_path(run, model)
            write_verified(copy, _chosen(reader, is_going), "the predictions are where they were")
            sync_folder(run)
            write_verified(view, _chosen(reader, ~is_going), f"the predictions are where they were and in {copy}")
        return int(is_going.sum()), copy


def put_back(run: Path, model: str, name: str) -> int:
    """Move the predictions in the file `name` of `old/` back to those of `model`, whose own answers count first.

    Return how many they are. A kill leaves every row in one of the two, or in both. For the holder of the lock.
    """
    compact(run, model)
    view, copy = predictions_path(run, model), set_aside_folder(run) / name
    with ExitStack() as stack:
        paths = [path for path in (view, copy) if path.is_file()]
        readers = [stack.enter_context(ParquetReader(path, PREDICTIONS)) for path in paths]
        if copy not in paths:
            return 0
        rows: int = sum(batch.num_rows for batch in readers[-1].batches(["key"]))
        write_verified(view, merged(readers), f"the predictions set aside are in {copy}")
    with disk_errors(copy):
        copy.unlink()
    return rows


def _chosen(reader: ParquetReader, mask: NDArray[np.bool_]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in reader.batches():
        chosen = mask[start : start + batch.num_rows]
        start += batch.num_rows
        if chosen.any():
            yield batch.filter(pa.array(chosen))
