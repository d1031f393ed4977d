"""A model's predictions, found by key."""

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
from orchestrator.results import keysets
from orchestrator.results.schema import PREDICTIONS
from orchestrator.results.view import read_predictions


@dataclass(frozen=True, slots=True)
class Answers:
    """Columns of one model's predictions in a mapped file; memory holds a key and a row number for each.

    `keys` are ascending, `rows` says where in the file each of them is.
    """

    keys: keysets.Keys
    rows: NDArray[np.int64]
    batches: list[pa.RecordBatch]
    starts: NDArray[np.int64]
    was_found: NDArray[np.bool_]

    @property
    def stale(self) -> int:
        """The number of predictions that no `find` so far has asked for."""
        return int(len(self.was_found) - self.was_found.sum())

    def find(self, keys: Sequence[str]) -> dict[str, list[Any]]:
        """Return each column's values under `keys`, in their order; None where a key has no prediction."""
        rows = self._rows_of(keysets.from_texts(keys))
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

    def _rows_of(self, keys: keysets.Keys) -> NDArray[np.int64]:
        """Return the row of each key, -1 where there is none; sought in order, neighbours are quickly found."""
        rows = np.full(len(keys), -1, np.int64)
        order = np.argsort(keys)
        places = np.minimum(np.searchsorted(self.keys, keys[order]), len(self.keys) - 1)
        is_there = self.keys[places] == keys[order] if len(self.keys) else np.zeros(len(keys), np.bool_)
        rows[order[is_there]] = self.rows[places[is_there]]
        return rows


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
            keys = _copy(read_predictions(run, model, ["key", *columns]), schema, file)
        reader = pa.ipc.open_file(pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        starts = np.cumsum([0, *(batch.num_rows for batch in batches[:-1])], dtype=np.int64)
        order = np.argsort(keys)
        yield Answers(keys[order], order, batches, starts, np.zeros(len(keys), np.bool_))


def _copy(predictions: Iterator[pa.RecordBatch], schema: pa.Schema, file: IO[bytes]) -> keysets.Keys:
    """Write the columns of `schema` to `file`, at least one batch; return the keys in their order."""
    keys: list[keysets.Keys] = []
    with pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], schema))
        for batch in predictions:
            keys.append(keysets.from_arrow(batch["key"]))
            writer.write_batch(batch.select(schema.names))
    file.flush()
    return keysets.joined(keys)
