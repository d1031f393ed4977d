"""Whether files of rows are sound: predictions, journals and scores, every page and line of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.errors import BakeoffError
from orchestrator.results import keysets
from orchestrator.results.journal import JournalReader
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.schema import ANSWER_STATUSES, FINAL_STATUSES, PREDICTIONS, SCORES

NEWER = "newer"
_NO_KEYS = keysets.joined([])
_STATUSES = FINAL_STATUSES | {"error", "timeout", "crashed", "lost", "cancelled"}
_PREDICTIONS_REMEDY = "move it away and run again, what it answered is then asked again"


@dataclass(frozen=True, slots=True)
class Check:
    """A file that was looked at: what it holds, and a sentence on its damage or on something to know.

    One of a newer bakeoff cannot be tried, which is no damage: its state is `NEWER`, and a note says so. `keys` are
    those of the rows, where they could be read.
    """

    path: Path
    state: str
    damage: str | None = None
    note: str | None = None
    keys: keysets.Keys = field(default_factory=lambda: _NO_KEYS, repr=False, compare=False)


def check_predictions(path: Path) -> Check:
    """Read the whole Parquet file of a model's predictions: its columns, and that each key is there once."""
    model = path.stem if path.parent.name == "predictions" else None
    try:
        with ParquetReader(path, PREDICTIONS, _PREDICTIONS_REMEDY) as file:
            keys, rows, wrong = _read(file.batches(), lambda batch: _wrong_prediction(batch, model))
            note = find_rewriting(file)
    except BakeoffError as error:
        return unsound(path, error, _PREDICTIONS_REMEDY)
    if not wrong and not keysets.are_distinct(keys):
        wrong = f"{rows - len(np.unique(keys))} of {rows} rows have a key that is there already"
    return Check(path, f"{rows} rows", f"{wrong}; {_PREDICTIONS_REMEDY}" if wrong else None, note, keys)


def check_journal(path: Path, *, is_growing: bool) -> Check:
    """Try the checksum of every line of a journal, and look at its rows; a torn end is what a kill leaves."""
    model = path.parent.name
    try:
        with JournalReader(path) as journal:
            keys, rows, wrong = _read(journal.batches(), lambda batch: _wrong_prediction(batch, model))
            bent, is_torn = journal.damaged - journal.is_torn, journal.is_torn
    except FileNotFoundError:  # a run that goes on has just folded it
        return Check(path, "gone")
    except BakeoffError as error:
        return unsound(path, error)
    except (pa.ArrowException, ValueError, LookupError, TypeError) as error:
        return Check(path, "damaged", f"its lines are not records of ours ({' '.join(str(error).split())[:200]})")
    if bent:
        wrong = f"{bent} of its records are damaged; what they answered is asked again by the next run"
    torn = ", and its last line is torn, which is harmless" if is_torn else ""
    note = f"{rows} rows are not in Parquet yet, the next run folds them in{torn}"
    return Check(path, f"{rows} rows", wrong, None if is_growing else note, keys)


def check_scores(path: Path, known: keysets.Keys | None, remedy: str) -> Check:
    """Read the whole Parquet file of a model's scores; `known` are the keys that its run knows (None: not known)."""
    try:
        with ParquetReader(path, SCORES, remedy) as file:
            keys, rows, wrong = _read(file.batches(), lambda batch: _wrong_score(batch, path.stem))
            note = find_rewriting(file)
    except BakeoffError as error:
        return unsound(path, error, remedy)
    if not wrong and known is not None and (strangers := int((~np.isin(keys, known)).sum())):
        wrong = f"{strangers} of {rows} rows have a key that the run does not know"
    return Check(path, f"{rows} rows", f"{wrong}; {remedy}" if wrong else None, note, keys)


def is_newer(told: str) -> bool:
    """Tell whether a sentence on a file says that a newer bakeoff wrote it."""
    return "was written by a newer bakeoff" in told


def unsound(path: Path, error: BakeoffError, remedy: str = "") -> Check:
    """Return what is to be said of a file that cannot be read."""
    if remedy and not path.exists():
        return Check(path, "missing", f"is not there; {remedy.removeprefix('move it away and ')}")
    told = str(error).removeprefix(f"{path}: ")
    return Check(path, NEWER, note=told) if is_newer(told) else Check(path, "damaged", told)


def find_rewriting(file: ParquetReader) -> str | None:
    """Say which column is none of ours or of another type: then another program wrote the file, and it reads the same.

    A column that is missing is from before it was added. A file without a seal is told, too: less of it can be checked.
    """
    try:
        for column in file.columns:
            if strange := _strangeness(column, file.schema):
                return f"rewritten by another program, which harms nothing: {strange}"
    except ValueError as error:  # names that are no text
        raise BakeoffError(f"{file.path}: is not a readable Parquet file ({error}); {file.remedy}") from error
    if not file.is_sealed:
        return "has none of our checksums over its footer: another program wrote it, or an older bakeoff"
    return None


def _strangeness(column: pa.Field, ours: pa.Schema) -> str | None:
    if column.name not in ours.names:
        return f"has the unknown column '{column.name}'"
    expected = ours.field(column.name).type
    return None if column.type == expected else f"has its column '{column.name}' as {column.type}, not {expected}"


def _read(
    batches: Iterator[pa.RecordBatch], find_wrong: Callable[[pa.RecordBatch], str | None]
) -> tuple[keysets.Keys, int, str | None]:
    """Return the keys of `batches`, how many rows they have, and the first thing that is wrong with them."""
    keys: list[keysets.Keys] = []
    rows, wrong = 0, None
    for batch in batches:
        rows += batch.num_rows
        if bad := _bad_keys(batch["key"]):
            wrong = wrong or f"{bad} rows have no key of 64 hex digits"
        else:
            keys.append(keysets.from_arrow(batch["key"]))
            wrong = wrong or find_wrong(batch)
    return keysets.joined(keys), rows, wrong


def _bad_keys(keys: pa.Array) -> int:
    is_good = pc.fill_null(pc.match_substring_regex(keys, "^[0-9a-f]{64}$"), False)
    return len(keys) - int(pc.sum(is_good).as_py() or 0)


def _wrong_prediction(batch: pa.RecordBatch, model: str | None) -> str | None:
    statuses = batch["status"]
    for status in pc.unique(statuses).to_pylist():
        if status not in _STATUSES:
            return f"has rows of the unknown status '{status}'"
    is_answer = pc.is_in(statuses, value_set=pa.array(sorted(ANSWER_STATUSES)))
    if pc.any(pc.xor(is_answer, pc.is_valid(batch["text"]))).as_py():
        return "has answers without a text, or texts that are no answers"
    if batch["sample_id"].null_count:
        return "has rows without a sample"
    return _wrong_model(batch, model)


def _wrong_score(batch: pa.RecordBatch, model: str) -> str | None:
    if pc.any(pc.xor(pc.is_valid(batch["reason"]), pc.is_null(batch["score"]))).as_py():
        return "has rows with neither a score nor a reason, or with both"
    return _wrong_model(batch, model)


def _wrong_model(batch: pa.RecordBatch, model: str | None) -> str | None:
    strange = [name for name in pc.unique(batch["model"]).to_pylist() if name != model]
    return f"has rows of the model '{strange[0]}'" if model and strange else None
