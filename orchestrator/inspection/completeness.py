"""What a cell of a run has answers for, and why the rest has none: keys expected against keys there."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.results import keysets
from orchestrator.results.expected import iter_expected
from orchestrator.results.plan import Cell
from orchestrator.results.schema import ANSWER_STATUSES, FINAL_STATUSES, PREDICTIONS
from orchestrator.results.view import read_predictions

NOT_ASKED = "missing"
MESSAGE_CHARS = 1000
MESSAGES_MAX = 1000
_OTHERS_MAX = 20
_KEPT = ("status", "sample_id", "prompt_id", "params")
_ENCODED = {"status", "prompt_id", "params"}

Messages = dict[tuple[tuple[str, str, str], str], Counter[str | None]]
"""How often each message was told, by the name of the cell and the status; None: all beyond `MESSAGES_MAX`."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Requests of a cell that have no answer for one reason: a status, or `missing` where none was ever made.

    `message` is the commonest of `messages` different ones, cut at `MESSAGE_CHARS`; all beyond `MESSAGES_MAX` count as
    one. `others` are the next of them. `sample_ids` are the first samples that make them.
    """

    status: str
    requests: int
    message: str | None
    messages: int
    sample_ids: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether the same command leaves it as it is."""
        return self.status in FINAL_STATUSES


@dataclass(frozen=True, slots=True)
class CellState:
    """How far a cell came. `answers` counts samples times repeats, `requests` the distinct ones that these make.

    `ok` and `refused` are None where the model's predictions cannot be read.
    """

    cell: Cell
    answers: int
    requests: int
    ok: int | None
    refused: int | None
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """What a model's predictions say, but for the texts: their keys, a table in the same order, and the messages."""

    keys: keysets.Keys
    table: pa.Table
    messages: Messages


@dataclass(frozen=True, slots=True)
class Wanted:
    """The distinct requests of a cell in the order of their keys, and the first sample that makes each of them.

    `places` says how early that sample comes.
    """

    cell: Cell
    answers: int
    keys: keysets.Keys
    places: NDArray[np.int64]
    sample_ids: pa.Array


def read_rows(run: Path, model: str, wanted: Sequence[Wanted]) -> Rows:
    """Read the predictions of `model`, whose cells are `wanted`; raise BakeoffError where they cannot be read."""
    keys: list[keysets.Keys] = []
    batches = [_kept(pa.RecordBatch.from_pylist([], PREDICTIONS))]
    messages: Messages = {}
    for batch in read_predictions(run, model, ("key", "error_message", *_KEPT)):
        keys.append(keysets.from_arrow(batch["key"]))
        batches.append(_kept(batch))
        _count_messages(batch, keys[-1], wanted, messages)
    return Rows(keysets.joined(keys), pa.concat_tables(batches).unify_dictionaries(), messages)


def read_wanted(run: Path, cell: Cell) -> Wanted:
    """Compute which requests `cell` makes."""
    keys: list[keysets.Keys] = []
    ids: list[pa.Array] = [pa.array([], pa.string())]
    for batch in iter_expected(run, cell, with_references=False):
        keys.append(keysets.from_texts([row.key for row in batch]))
        ids.append(pa.array([row.sample_id for row in batch], pa.string()))
    joined = keysets.joined(keys)
    distinct, places = np.unique(joined, return_index=True)
    return Wanted(cell, len(joined), distinct, places, pa.concat_arrays(ids).take(pa.array(places)))


def compare(wanted: Wanted, rows: Rows, samples_max: int | None) -> CellState:
    """Find the requests of a cell among the predictions; each gap names at most `samples_max` samples."""
    found = _find(wanted.keys, rows.keys)
    is_there = found >= 0
    statuses = rows.table["status"].combine_chunks().take(pa.array(found[is_there]))
    counts = {each["values"]: each["counts"] for each in pc.value_counts(statuses).to_pylist()}
    gaps = [_gap(wanted, rows, NOT_ASKED, ~is_there, samples_max)]
    for status in sorted(set(counts) - ANSWER_STATUSES, key=lambda status: (status in FINAL_STATUSES, status or "")):
        mask = np.zeros(len(found), bool)
        mask[is_there] = _to_numpy(pc.equal(statuses.cast(pa.string()), status))
        gaps.append(_gap(wanted, rows, status, mask, samples_max))
    ok, refused = counts.get("ok", 0), counts.get("refused", 0)
    shown = tuple(gap for gap in gaps if gap.requests)
    return CellState(wanted.cell, wanted.answers, len(wanted.keys), ok, refused, shown)


def count_answered(run: Path, cells: Sequence[Cell]) -> tuple[int, int]:
    """Return how many distinct requests `cells`, all of one model, have an answer for, and how many they make."""
    model = cells[0].model
    wanted = np.unique(keysets.joined([read_wanted(run, cell).keys for cell in cells]))
    of_answers = pa.array(sorted(ANSWER_STATUSES))
    answered = keysets.joined(
        keysets.from_arrow(batch["key"]).compress(_to_numpy(pc.is_in(batch["status"], value_set=of_answers)))
        for batch in read_predictions(run, model, ("key", "status"))
    )
    return int(np.isin(wanted, answered).sum()), len(wanted)


def _to_numpy(mask: pa.Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = mask.to_numpy(zero_copy_only=False)
    return found


def _find(wanted: keysets.Keys, there: keysets.Keys) -> NDArray[np.int64]:
    """Return the row of each wanted key, -1 where there is none."""
    if not len(there):
        return np.full(len(wanted), -1)
    order = np.argsort(there, kind="stable")
    places = order[np.minimum(np.searchsorted(there, wanted, sorter=order), len(there) - 1)]
    return np.where(there[places] == wanted, places, -1)


def _count_messages(batch: pa.RecordBatch, keys: keysets.Keys, wanted: Sequence[Wanted], messages: Messages) -> None:
    """Add what the rows of a batch say to `messages`; a runner can say something else each time, at any length."""
    has_message = np.flatnonzero(_to_numpy(pc.greater(pc.fill_null(pc.utf8_length(batch["error_message"]), 0), 0)))
    for each in wanted if len(has_message) else ():
        of_cell = pa.array(has_message[_is_among(keys[has_message], each.keys)])
        statuses = batch["status"].take(of_cell)
        texts = pc.utf8_slice_codeunits(batch["error_message"].take(of_cell), 0, MESSAGE_CHARS + 1)
        for status in pc.unique(statuses).to_pylist():
            counts = messages.setdefault((each.cell.name, status), Counter())
            _add(counts, pc.value_counts(texts.filter(pc.equal(statuses, status))))


def _is_among(keys: keysets.Keys, ordered: keysets.Keys) -> NDArray[np.bool_]:
    if not len(ordered):
        return np.zeros(len(keys), bool)
    is_there: NDArray[np.bool_] = ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys
    return is_there


def _add(counts: Counter[str | None], told: pa.StructArray) -> None:
    for text, count in zip(told.field("values").to_pylist(), told.field("counts").to_pylist(), strict=True):
        counts[text if text in counts or len(counts) < MESSAGES_MAX else None] += count


def _commonest(counts: Counter[str | None]) -> str | None:
    message = max((text for text in counts if text is not None), key=counts.__getitem__, default=None)
    return message if message is None or len(message) <= MESSAGE_CHARS else message[: MESSAGE_CHARS - 1] + "…"


def _gap(wanted: Wanted, rows: Rows, status: str, mask: NDArray[np.bool_], samples_max: int | None) -> Gap:
    requests = int(mask.sum())
    if not requests:
        return Gap(status, 0, None, 0, ())
    which = np.flatnonzero(mask)
    earliest = which[np.argsort(wanted.places[which])]
    taken = earliest if samples_max is None else earliest[: 64 * samples_max]  # repeats of a sample follow it
    ids = tuple(dict.fromkeys(wanted.sample_ids.take(pa.array(taken)).to_pylist()))[:samples_max]
    told = rows.messages.get((wanted.cell.name, status), Counter())
    texts = [text[:MESSAGE_CHARS] for text, _ in told.most_common(_OTHERS_MAX + 2) if text is not None]
    return Gap(status, requests, _commonest(told), len(told), ids, tuple(texts[1:][:_OTHERS_MAX]))


def _kept(batch: pa.RecordBatch) -> pa.Table:
    """Return the columns to keep; those that say the same again and again once for each batch."""
    columns = [batch[name].dictionary_encode() if name in _ENCODED else batch[name] for name in _KEPT]
    return pa.table(columns, names=_KEPT)
