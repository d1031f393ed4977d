"""Predictions as one table a model: the Parquet file together with the journals not yet compacted into it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.errors import BakeoffError
from orchestrator.files import disk_errors, replacing, sync_folder
from orchestrator.results import keysets
from orchestrator.results.journal import JournalReader
from orchestrator.results.layout import journal_folder, predictions_path
from orchestrator.results.parquet import ParquetReader, write_table
from orchestrator.results.schema import ANSWER_STATUSES, PENDING, PREDICTIONS


class _Source(Protocol):
    def batches(self, columns: Sequence[str] = ...) -> Iterator[pa.RecordBatch]: ...


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did: rows in the view, records of journals that were damaged, and journals kept because of it.

    `torn` of the damaged are mere ends, as a kill leaves them: nothing of them had been acknowledged.
    """

    rows: int
    damaged: int
    torn: int = 0
    kept: tuple[Path, ...] = ()


def read_predictions(run: Path, model: str, columns: Sequence[str] = PREDICTIONS.names) -> Iterator[pa.RecordBatch]:
    """Yield `columns` of the predictions of `model`, at most one row a key, while a run is going on or not.

    Of several rows of one key the first answer counts, else the last row, which may say that there is none (PENDING).
    Only keys are held in memory.
    """
    with ExitStack() as stack:
        yield from merged(_open_sources(run, model, stack), columns)


def compact(run: Path, model: str) -> Compaction:
    """Fold the journals of `model` into its Parquet file; journals go only after the new file was verified.

    Verified are its columns, its number of rows, and that every key can be read and is there once.
    Only the process that holds the run's lock may call this.
    """
    with ExitStack() as stack:
        sources = _open_sources(run, model, stack)
        journals = [source for source in sources if isinstance(source, JournalReader)]
        if not journals:
            return Compaction(0, 0)
        rows = write_verified(predictions_path(run, model), merged(sources), "the journals are kept")
        kept = tuple(filter(None, map(_put_away, journals)))
        with disk_errors(journal_folder(run, model)):
            sync_folder(journal_folder(run, model))
        torn = sum(journal.is_torn for journal in journals)
        return Compaction(rows, sum(journal.damaged for journal in journals), torn, kept)


def write_verified(path: Path, batches: Iterator[pa.RecordBatch], consolation: str) -> int:
    """Replace `path` by a file of `batches`, predictions of distinct keys, once it was read back; return its rows.

    Where it is not what was written, `path` stays as it was and a BakeoffError ends in `consolation`.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        rows = write_table(temporary, PREDICTIONS, batches)
        if not _is_whole(temporary, rows, consolation):
            raise BakeoffError(
                f"{path}: the rewritten file is not what was written; {consolation}, so look to the disk and run again"
            )
    return rows


def _is_whole(path: Path, rows: int, consolation: str) -> bool:
    """Read the keys of a new file back and tell whether it has our columns and `rows` rows of different keys."""
    with ParquetReader(path, PREDICTIONS, remedy=consolation) as reader:
        if reader.columns != PREDICTIONS:
            return False
        columns = [batch["key"] for batch in reader.batches(["key"])]
    if any(column.null_count for column in columns):
        return False
    keys = keysets.joined(map(keysets.from_arrow, columns))
    return len(keys) == rows and keysets.are_distinct(keys)


def _put_away(journal: JournalReader) -> Path | None:
    """Delete a journal that is in the view; one with bent lines is renamed instead, for a person to look at."""
    with disk_errors(journal.path):
        if journal.damaged > journal.is_torn:
            return journal.path.rename(journal.path.with_suffix(".damaged"))
        journal.path.unlink()
    return None


def _open_sources(run: Path, model: str, stack: ExitStack) -> list[_Source]:
    """Open the journals first, the Parquet file after: a compaction in between then shows rows twice, never not."""
    journals: list[_Source] = []
    for path in sorted(journal_folder(run, model).glob("*.jsonl")):
        try:
            journals.append(stack.enter_context(JournalReader(path)))
        except FileNotFoundError:
            continue
    view = predictions_path(run, model)
    return [stack.enter_context(ParquetReader(view, PREDICTIONS)), *journals] if view.is_file() else journals


def merged(sources: Sequence[_Source], columns: Sequence[str] = PREDICTIONS.names) -> Iterator[pa.RecordBatch]:
    """Yield `columns` of the rows that count of `sources`: of each key the first answer, else the last row."""
    if len(sources) == 1 and isinstance(sources[0], ParquetReader):
        yield from sources[0].batches(columns)
        return
    winners = _find_winners(sources)
    start = 0
    for source in sources:
        for batch in source.batches(columns):
            kept = winners[start : start + batch.num_rows]
            start += batch.num_rows
            yield batch if kept.all() else batch.filter(pa.array(kept))


def _find_winners(sources: Sequence[_Source]) -> NDArray[np.bool_]:
    """Return for every row of `sources`, in order, whether it is the one that counts for its key."""
    answer = pa.array(sorted(ANSWER_STATUSES))
    keys: list[keysets.Keys] = []
    answers, absent = [np.zeros(0, bool)], [np.zeros(0, bool)]
    for source in sources:
        for batch in source.batches(("key", "status")):
            keys.append(keysets.from_arrow(batch["key"]))
            answers.append(pc.is_in(batch["status"], value_set=answer).to_numpy(zero_copy_only=False))
            absent.append(pc.is_in(batch["status"], value_set=pa.array([PENDING])).to_numpy(zero_copy_only=False))
    is_answer = np.concatenate(answers)
    rows = len(is_answer)
    order = np.arange(rows)
    ranks = np.where(is_answer, 2 * rows - order, order)  # the first answer, else the last row, is the largest
    best = keysets.best_rows(keysets.joined(keys), ranks)
    winners = np.zeros(rows, bool)
    winners[np.where(best >= rows, 2 * rows - best, best)] = True
    winners[np.concatenate(absent)] = False
    return winners
