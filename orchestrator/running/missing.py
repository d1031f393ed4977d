"""What a model has still to answer: the keys that its cells expect and its predictions lack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.results.expected import Expected, iter_expected
from orchestrator.results.plan import Cell
from orchestrator.results.schema import FINAL_STATUSES
from orchestrator.results.view import read_predictions


class Task(NamedTuple):
    """One request to make: the index of its cell, what is expected, and how often it was tried before."""

    cell: int
    expected: Expected
    attempts: int


@dataclass(frozen=True, slots=True)
class Missing:
    """The requests to make of one model, lazily and in the order of the samples, the cells taking turns.

    `total` counts distinct keys. Held in memory are one bit a row, and the keys tried in vain.
    """

    run: Path
    cells: tuple[Cell, ...]
    total: int
    count: int
    tried: dict[str, int]
    _masks: tuple[NDArray[np.bool_], ...]

    def tasks(self) -> Iterator[Task]:
        """Yield what is missing, computing it anew from the run's files."""
        start = 0
        streams = [iter_expected(self.run, cell) for cell in self.cells]
        for batches in zip(*streams, strict=True):
            end = start + len(batches[0])
            wanted = np.stack([mask[start:end] for mask in self._masks], axis=1)
            for row, cell in np.argwhere(wanted).tolist():
                expected = batches[cell][row]
                yield Task(cell, expected, self.tried.get(expected.key, 0))
            start = end


def find_missing(run: Path, cells: Sequence[Cell], *, retry: frozenset[str] = frozenset()) -> Missing:
    """Compare what `cells` (all of one model, over the same samples) expect with the model's predictions.

    A prediction with a status in `retry`, or one that is not final, is asked again.
    """
    done, tried = _read_done(run, cells[0].model, FINAL_STATUSES - retry)
    keys = [_expected_keys(run, cell) for cell in cells]
    every = np.concatenate(keys)
    distinct, first = np.unique(every, return_index=True)
    is_first = np.zeros(len(every), bool)
    is_first[first] = True
    wanted = is_first & ~np.isin(every, done)
    masks = np.split(wanted, np.cumsum([len(k) for k in keys])[:-1])
    return Missing(run, tuple(cells), len(distinct), int(wanted.sum()), tried, tuple(masks))


def _expected_keys(run: Path, cell: Cell) -> NDArray[np.bytes_]:
    batches = [np.array([row.key for row in rows], dtype="S64") for rows in iter_expected(run, cell)]
    return np.concatenate(batches) if batches else np.zeros(0, "S64")


def _read_done(run: Path, model: str, final: frozenset[str]) -> tuple[NDArray[np.bytes_], dict[str, int]]:
    """Return the keys that need no asking, and the attempts spent on each of the others."""
    done = [np.zeros(0, "S64")]
    tried: dict[str, int] = {}
    accepted = pa.array(sorted(final))
    for batch in read_predictions(run, model):
        is_done = pc.is_in(batch["status"], value_set=accepted)
        done.append(batch["key"].filter(is_done).to_numpy(zero_copy_only=False).astype("S64"))
        rest = batch.filter(pc.invert(is_done))
        tried.update(zip(rest["key"].to_pylist(), rest["attempts"].to_pylist(), strict=True))
    return np.concatenate(done), tried
