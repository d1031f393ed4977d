"""What a model has still to answer: the keys that its cells expect and its predictions lack."""

import itertools
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
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
from orchestrator.results.schema import ANSWER_STATUSES, FINAL_STATUSES
from orchestrator.results.view import read_predictions


class Past(NamedTuple):
    """What became of a request in earlier runs, as its prediction tells: its status and the counts of that row."""

    status: str
    attempts: int
    crashes: int
    losses: int


class Task(NamedTuple):
    """One request to make: the index of its cell, what is expected, and what came of it before.

    `attempts` counts how often it was asked, `crashes` the workers that died while it alone was under way, `losses`
    how often we ended ourselves while it was; `status` is that of its prediction, None where it has none.
    """

    cell: int
    expected: Expected
    attempts: int = 0
    crashes: int = 0
    losses: int = 0
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """The requests to make of one model, lazily and in the order of the samples, the cells taking turns.

    `total` counts distinct keys, `before` those that have a final prediction, by its status, `answers` the samples,
    prompts and repeats that they answer. Held in memory are one byte a row and the keys that were `tried` in vain.
    `has_answers` tells whether the model has answered any of them.
    """

    run: Path
    cells: tuple[Cell, ...]
    answers: int
    total: int
    before: dict[str, int]
    tried: dict[str, Past]
    has_answers: bool
    _masks: tuple[NDArray[np.bool_], ...]

    @property
    def count(self) -> int:
        """How many requests are to be made."""
        return self.total - sum(self.before.values())

    def tasks(self) -> Iterator[Task]:
        """Yield what is missing, computing it anew from the run's files."""
        start = 0
        streams = [iter_expected(self.run, cell, with_references=False) for cell in self.cells]
        for batches in zip(*streams, strict=True):
            end = start + len(batches[0])
            wanted = np.stack([mask[start:end] for mask in self._masks], axis=1)
            for row, cell in np.argwhere(wanted).tolist():
                expected = batches[cell][row]
                past = self.tried.get(expected.key)
                yield (
                    Task(cell, expected, past.attempts, past.crashes, past.losses, past.status)
                    if past
                    else Task(cell, expected)
                )
            start = end

    def find_answered(self, but: AbstractSet[str]) -> Task | None:
        """Return a request of these cells that the model has answered and is none of `but`, None if there is none."""
        answered = keysets.joined(
            keysets.from_arrow(batch["key"].filter(pc.equal(batch["status"], "ok")))
            for batch in read_predictions(self.run, self.cells[0].model, ("key", "status"))
        )
        for number, cell in enumerate(self.cells):
            for batch in iter_expected(self.run, cell, with_references=False):
                is_answered = np.isin(keysets.from_texts([expected.key for expected in batch]), answered)
                for row in np.flatnonzero(is_answered).tolist():
                    if batch[row].key not in but:
                        return Task(number, batch[row])
        return None


def find_missing(run: Path, cells: Sequence[Cell], *, retry_failed: bool = False) -> Missing:
    """Compare what `cells` (all of one model, over the same samples) expect with the model's predictions.

    A prediction whose status is not final is asked again; with `retry_failed` every one is that is no answer. A request
    that several samples make is asked once.
    """
    done = _read_done(run, cells[0].model, ANSWER_STATUSES if retry_failed else FINAL_STATUSES)
    keys = [keysets.joined(map(keysets.from_texts, iter_keys(run, cell))) for cell in cells]
    lengths = [len(k) for k in keys]
    distinct, first = np.unique(keysets.joined(keys), return_index=True)
    is_missing = np.ones(len(distinct), bool)
    before: dict[str, int] = {}
    for status, of_status in done.keys.items():
        if not len(of_status):
            continue
        is_there = np.isin(distinct, of_status, assume_unique=True)
        before[status] = int(is_there.sum())
        is_missing &= ~is_there
    wanted = np.zeros(sum(lengths), bool)
    wanted[first[is_missing]] = True
    masks = np.split(wanted, np.cumsum(lengths)[:-1])
    known = {status: n for status, n in before.items() if n}
    return Missing(run, tuple(cells), len(wanted), len(distinct), known, done.tried, "ok" in known, tuple(masks))


@dataclass(frozen=True, slots=True)
class _Done:
    """The keys that need no asking by status, and the past of each of the others."""

    keys: dict[str, keysets.Keys]
    tried: dict[str, Past]


def _read_done(run: Path, model: str, statuses: AbstractSet[str]) -> _Done:
    done: dict[str, list[keysets.Keys]] = {status: [] for status in sorted(statuses)}
    tried: dict[str, Past] = {}
    final = pa.array(list(done))
    for batch in read_predictions(run, model, ("key", *Past._fields)):
        for status, keys in done.items():
            keys.append(keysets.from_arrow(batch["key"].filter(pc.equal(batch["status"], status))))
        rest = batch.filter(pc.invert(pc.is_in(batch["status"], value_set=final)))
        pasts = (rest[name] if name == "status" else pc.fill_null(rest[name], 0) for name in Past._fields)
        rows = zip(*(column.to_pylist() for column in pasts), strict=True)
        tried.update(zip(rest["key"].to_pylist(), itertools.starmap(Past, rows), strict=True))
    joined = {status: keysets.joined(keys) for status, keys in done.items()}
    return _Done(joined, tried)
