"""The Parquet files of a run: written with checksums, read with these verified, later columns filled with nulls."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.errors import BakeoffError
from orchestrator.results.schema import SCHEMA_VERSION, versioned
from orchestrator.results.seal import check_chunks, check_seal, seal

ROWS_A_GROUP = 16_384


def write_table(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    """Write `batches` as one Parquet file in groups of `ROWS_A_GROUP` rows; return the number of rows."""
    rows, waiting, held = 0, 0, list[pa.RecordBatch]()
    with pq.ParquetWriter(path, versioned(schema), compression="zstd", write_page_checksum=True) as writer:
        for batch in batches:
            held.append(batch)
            waiting += batch.num_rows
            rows += batch.num_rows
            if waiting >= ROWS_A_GROUP:
                writer.write_table(pa.Table.from_batches(held, schema))
                held, waiting = [], 0
        writer.write_table(pa.Table.from_batches(held, schema))
    seal(path)
    return rows


@dataclass(slots=True)
class ParquetReader:
    """Read a file of `schema`, held open so that a replacement does not disturb the reader.

    Raises BakeoffError, which names the file and ends in `remedy`, where it is damaged or newer than us.
    """

    path: Path
    schema: pa.Schema
    remedy: str = "move it away and run again"
    _source: pa.NativeFile = field(init=False)
    _file: pq.ParquetFile = field(init=False)
    _crcs: tuple[int, ...] | None = field(init=False)

    def __enter__(self) -> Self:
        """Open the file and check its seal, its version and that it has the first column, by which rows are found."""
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
    def columns(self) -> pa.Schema:
        """The columns that the file has, without metadata."""
        return self._file.schema_arrow.remove_metadata()

    def batches(self, columns: Sequence[str] | None = None, rows_max: int = ROWS_A_GROUP) -> Iterator[pa.RecordBatch]:
        """Yield `columns` (default: all of the schema) in that order, at most `rows_max` rows at a time.

        A column that the file is too old to have is null.
        """
        wanted = pa.schema([self.schema.field(name) for name in columns or self.schema.names])
        there = self.columns.names
        read = [name for name in wanted.names if name in there] or there[:1]
        with self._reading():
            for group in range(self._file.num_row_groups):  # read in one go, a file keeps all that it has decoded
                if self._crcs is not None:
                    check_chunks(self._source, self._file.metadata, group, read, self._crcs)
                for batch in self._file.iter_batches(rows_max, row_groups=[group], columns=read):
                    yield _fitted(batch, wanted)

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
        except (pa.ArrowException, OSError, ValueError) as error:
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
