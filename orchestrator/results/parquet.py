"""The Parquet files of a run: written with checksums, read with these verified, later columns filled with nulls."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.errors import BakeoffError
from orchestrator.files import unreadable
from orchestrator.results.schema import PREDICTIONS, SCHEMA_VERSION, versioned
from orchestrator.results.seal import SealError, check_chunks, check_seal, seal

ROWS_A_GROUP = 16_384
GROUP_BYTES = 32 << 20
_DAMAGE = {None, errno.EINVAL}  # pyarrow's own, and what a system says to numbers that were bent


def write_table(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    """Write `batches` as one Parquet file, a group as soon as `ROWS_A_GROUP` or `GROUP_BYTES` are held; count rows."""
    rows = 0
    with pq.ParquetWriter(path, versioned(schema), compression="zstd", write_page_checksum=True) as writer:
        for held in _grouped(batches):
            table = pa.Table.from_batches(held, schema)
            writer.write_table(table)
            rows += table.num_rows
    seal(path)
    return rows


def _grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    held, rows, size = list[pa.RecordBatch](), 0, 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= ROWS_A_GROUP or size >= GROUP_BYTES:
            yield held
            held, rows, size = [], 0, 0
    yield held


@dataclass(slots=True)
class ParquetReader:
    """Read a file of `schema`, held open so that a replacement does not disturb the reader.

    Raises BakeoffError, which names the file: where it is damaged it ends in `remedy`, where the disk fails or memory
    runs out it says that instead, since nothing is wrong with the file then.
    """

    path: Path
    schema: pa.Schema
    remedy: str = ""
    _source: pa.NativeFile = field(init=False)
    _file: pq.ParquetFile = field(init=False)
    _crcs: tuple[int, ...] | None = field(init=False)

    def __enter__(self) -> Self:
        """Open the file and check its seal, its version and that it has the first column, by which rows are found."""
        if not self.remedy:
            costs = ", what it answered is then asked again" if self.schema is PREDICTIONS else ""
            self.remedy = f"move it away and run again{costs}"
        with ExitStack() as stack, self._reading():
            self._source = stack.enter_context(pa.OSFile(str(self.path), "rb"))
            self._crcs = check_seal(self._source)
            self._file = pq.ParquetFile(self._source, page_checksum_verification=True, pre_buffer=False)
            if reason := self._reason_against():
                raise BakeoffError(f"{self.path}: {reason}")
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()
        self._source.close()

    @property
    def is_sealed(self) -> bool:
        """Whether the file has our checksums; one that something else rewrote has none, nor one whose mark is bent."""
        return self._crcs is not None

    @property
    def columns(self) -> pa.Schema:
        """The columns that the file has, without metadata."""
        return self._file.schema_arrow.remove_metadata()

    def batches(self, columns: Sequence[str] | None = None, rows_max: int = ROWS_A_GROUP) -> Iterator[pa.RecordBatch]:
        """Yield `columns` (default: all of the schema) in that order, at most `rows_max` rows at a time.

        They are fewer where rows are large. A column that the file is too old to have is null.
        """
        wanted = pa.schema([self.schema.field(name) for name in columns or self.schema.names])
        there = self.columns.names
        read = [name for name in wanted.names if name in there] or there[:1]
        with self._reading():
            for group in range(self._file.num_row_groups):  # read in one go, a file keeps all that it has decoded
                for batch in self._group(group, read, rows_max):
                    yield _fitted(batch, wanted)

    def _group(self, group: int, columns: Sequence[str], rows_max: int) -> Iterator[pa.RecordBatch]:
        """Yield one row group; a bent header of a page can end it early without an error, so its rows are counted."""
        if self._crcs is not None:
            check_chunks(self._source, self._file.metadata, group, columns, self._crcs)
        whole, rows = self._file.metadata.row_group(group), 0
        # its columns' sizes would be nearer, but without a seal they may be bent, and then pyarrow ends the process
        at_once = max(1, GROUP_BYTES * whole.num_rows // max(1, whole.total_byte_size))
        for batch in self._file.iter_batches(min(rows_max, at_once), row_groups=[group], columns=columns):
            rows += batch.num_rows
            yield batch
        if rows != whole.num_rows:
            raise SealError(f"only {rows} of {whole.num_rows} rows of a group can be read")

    def _reason_against(self) -> str | None:
        version = (self._file.schema_arrow.metadata or {}).get(b"bakeoff_schema", b"1").decode("ascii", "replace")
        if not version.isdigit() or int(version) > SCHEMA_VERSION:
            return f"was written by a newer bakeoff (schema {version}); upgrade to read it"
        first = self.schema.names[0]
        return None if first in self.columns.names else f"has no column '{first}'; {self.remedy}"

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except MemoryError as error:
            raise BakeoffError(f"{self.path}: memory ran out while it was read; free some and run again") from error
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in _DAMAGE:
                raise unreadable(self.path, error) from error
            told = " ".join(str(error).split())
            raise BakeoffError(f"{self.path}: is not a readable Parquet file ({told}); {self.remedy}") from error


def read_rows(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    """Return every row of a small file as a dictionary; raise BakeoffError where it is damaged."""
    with ParquetReader(path, schema) as reader:
        return [row for batch in reader.batches() for row in batch.to_pylist()]


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    there = set(batch.schema.names)
    columns = [batch[f.name].cast(f.type) if f.name in there else pa.nulls(batch.num_rows, f.type) for f in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
