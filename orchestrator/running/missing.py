"""What a model has still to answer: the keys that its cells expect and its predictions lack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.results import keysets
from orchestrator.results.expected import Expected, iter_expected, iter_keys
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

    `total` counts distinct keys, `answers` the samples, prompts and repeats that they answer. Held in memory are one
    bit a row and the keys that were tried in vain.
    """

    run: Path
    cells: tuple[Cell, ...]
    answers: int
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


def find_missing(run: Path, cells: Sequence[Cell]) -> Missing:
    """Compare what `cells` (all of one model, over the same samples) expect with the model's predictions.

    A prediction whose status is not final is asked again. A request that several samples make is asked once.
    """
    done, tried = _read_done(run, cells[0].model)
    keys = [keysets.joined(map(keysets.from_texts, iter_keys(run, cell))) for cell in cells]
    lengths = [len(k) for k in keys]
    distinct, first = np.unique(keysets.joined(keys), return_index=True)
    wanted = np.zeros(sum(lengths), bool)
    wanted[first[~np.isin(distinct, done, assume_unique=True)]] = True
    masks = np.split(wanted, np.cumsum(lengths)[:-1])
    return Missing(run, tuple(cells), len(wanted), len(distinct), int(wanted.sum()), tried, tuple(masks))


def _read_done(run: Path, model: str) -> tuple[keysets.Keys, dict[str, int]]:
    """Return the keys that need no asking, and the attempts spent on each of the others."""
    done: list[keysets.Keys] = []
    tried: dict[str, int] = {}
    final = pa.array(sorted(FINAL_STATUSES))
    for batch in read_predictions(run, model, ("key", "status", "attempts")):
        is_done = pc.is_in(batch["status"], value_set=final)
        done.append(keysets.from_arrow(batch["key"].filter(is_done)))
        rest = batch.filter(pc.invert(is_done))
        tried.update(zip(rest["key"].to_pylist(), rest["attempts"].to_pylist(), strict=True))
    return keysets.joined(done), tried
