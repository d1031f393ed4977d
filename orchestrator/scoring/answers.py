"""A model's predictions, found by key."""

import itertools
import mmap
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.files import disk_errors
from orchestrator.results.schema import PREDICTIONS
from orchestrator.results.view import read_predictions


@dataclass(frozen=True, slots=True)
class Answers:
    """Columns of one model's predictions in a mapped file; memory holds a key and a row number for each."""

    rows: dict[str, int]
    batches: list[pa.RecordBatch]
    starts: NDArray[np.int64]
    was_found: NDArray[np.bool_]

    @property
    def stale(self) -> int:
        """The number of predictions that no `find` so far has asked for."""
        return int(len(self.was_found) - self.was_found.sum())

    def find(self, keys: Sequence[str]) -> dict[str, list[Any]]:
        """Return each column's values under `keys`, in their order; None where a key has no prediction."""
        rows = np.fromiter((self.rows.get(key, -1) for key in keys), np.int64, len(keys))
        self.was_found[rows[rows >= 0]] = True
        found: dict[str, list[Any]] = {name: [None] * len(keys) for name in self.batches[0].schema.names}
        source = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(source[rows >= 0]):
            places = np.flatnonzero(source == number)
            taken = self.batches[number].take(pa.array(rows[places] - self.starts[number]))
            for name, values in found.items():
                for place, value in zip(places.tolist(), taken[name].to_pylist(), strict=True):
                    values[place] = value
        return found


@contextmanager
def open_answers(run: Path, model: str, columns: Sequence[str]) -> Iterator[Answers]:
    """Copy `columns` of the model's predictions to a nameless temporary file in the run and open it by key.

    Expected answers come in the order of samples, predictions in the order they arrived, so that joining them
    reads one side at random. With that side in a mapped file, memory grows with the keys, not with the texts.
    """
    folder = run / "scores"
    schema = pa.schema([PREDICTIONS.field(name) for name in columns])
    with ExitStack() as stack:
        with disk_errors(folder):
            folder.mkdir(exist_ok=True)
            file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
            rows = _copy(read_predictions(run, model, ["key", *columns]), schema, file)
        reader = pa.ipc.open_file(pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        starts = np.cumsum([0, *(batch.num_rows for batch in batches[:-1])], dtype=np.int64)
        yield Answers(rows, batches, starts, np.zeros(len(rows), np.bool_))


def _copy(predictions: Iterator[pa.RecordBatch], schema: pa.Schema, file: IO[bytes]) -> dict[str, int]:
    """Write the columns of `schema` to `file`, at least one batch; return the row of each key."""
    rows: dict[str, int] = {}
    with pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], schema))
        for batch in predictions:
            rows.update(zip(batch["key"].to_pylist(), itertools.count(len(rows)), strict=False))
            writer.write_batch(batch.select(schema.names))
    file.flush()
    return rows
