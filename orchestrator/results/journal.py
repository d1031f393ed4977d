"""The truth while a run is going on: append-only files of checksummed JSON lines, one a session, never reopened."""

import json
import os
import secrets
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.json as pj
from pydantic_core import to_json

from orchestrator.files import disk_errors, read_errors, sync_folder
from orchestrator.results.schema import PREDICTIONS

SYNC_EVERY_S = 1.0
BLOCK_BYTES = 2 << 20
_RESULT = b'{"t":"result",'
_PER_CELL = ("model", "runner", "params", "prompt_id")
_PER_ROW = [f for f in PREDICTIONS if f.name not in _PER_CELL]
_JSON_SCHEMA = pa.schema(
    [("cell", pa.int32()), *(pa.field(f.name, pa.int64() if f.name == "time" else f.type) for f in _PER_ROW)]
)


@dataclass(frozen=True, slots=True)
class CellColumns:
    """The columns of a prediction that all rows of one cell share."""

    model: str
    runner: str
    params: str
    prompt_id: str


@dataclass(slots=True)
class Journal:
    """The journal of one session; created with its opening record and never written again once closed.

    `append` returns when the lines are with the operating system, so a killed process loses none of them. They are
    forced to the disk by the first `append` or `sync_if_due` that comes `SYNC_EVERY_S` after the last sync, or at the
    end; who waits for answers calls `sync_if_due` meanwhile.
    """

    folder: Path
    cells: Sequence[CellColumns]
    path: Path = field(init=False)
    _descriptor: int = field(init=False)
    _synced: float = field(init=False, default=0.0)
    _dirty: bool = field(init=False, default=False)

    def __enter__(self) -> Self:
        """Create the file and write its opening record."""
        self.path = self.folder / f"{time.time_ns() // 1_000_000}-{secrets.token_hex(4)}.jsonl"
        cells = [{name: getattr(cell, name) for name in _PER_CELL} for cell in self.cells]
        with disk_errors(self.path):
            self.folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
            self._descriptor = os.open(self.path, flags, 0o644)
            sync_folder(self.folder)
        opening = _line(to_json({"t": "open", "version": 1, "pid": os.getpid(), "cells": cells}))
        self._write(opening + opening)  # every row needs it
        return self

    def __exit__(self, *_: object) -> None:
        """Force everything to the disk and close the file."""
        try:
            with disk_errors(self.path):
                self.sync()
        finally:
            os.close(self._descriptor)

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write `rows` (columns of PREDICTIONS, `cell` in place of the shared ones) in one go; `time` is in µs."""
        self._write(b"".join([_line(_RESULT + to_json(row, ensure_ascii=True)[1:]) for row in rows]))

    def sync(self) -> None:
        """Force what was written to the disk."""
        if self._dirty:
            os.fsync(self._descriptor)
            self._dirty = False
        self._synced = time.monotonic()

    def sync_if_due(self) -> None:
        """Force what was written to the disk where that was last done `SYNC_EVERY_S` ago; cheap where nothing was."""
        if self._dirty and time.monotonic() - self._synced >= SYNC_EVERY_S:
            with disk_errors(self.path):
                self.sync()

    def _write(self, data: bytes) -> None:
        with disk_errors(self.path):
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
                self._dirty = True
        self.sync_if_due()


def _line(body: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(body), body)


@dataclass(slots=True)
class JournalReader:
    """Read the rows of one journal, as often as wanted, through one open file that a later unlink cannot take away.

    A reader sees the journal as long as it was when opened. `damaged` counts lines that a crash tore or a disk bent;
    they are skipped and reported, never taken for an answer. `is_torn` tells whether the last of them is an unfinished
    end, as a kill leaves it.
    """

    path: Path
    damaged: int = field(init=False, default=0)
    is_torn: bool = field(init=False, default=False)
    _file: IO[bytes] = field(init=False)
    _size: int = field(init=False)

    def __enter__(self) -> Self:
        """Open the file and note its size; raise FileNotFoundError where a compaction has just taken it."""
        with read_errors(self.path):
            self._file = self.path.open("rb")
            self._size = os.fstat(self._file.fileno()).st_size
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def batches(self, columns: Sequence[str] = PREDICTIONS.names) -> Iterator[pa.RecordBatch]:
        """Yield `columns` of the result rows in order, in their types of PREDICTIONS."""
        self.damaged = 0
        cells: list[dict[str, str]] = []
        for lines in self._blocks():
            bodies = [body for body in map(_checked, lines) if body is not None]
            self.damaged += len(lines) - len(bodies)
            results = [body for body in bodies if body.startswith(_RESULT)]
            if len(results) < len(bodies):
                for body in bodies:
                    if not body.startswith(_RESULT):
                        cells = json.loads(body).get("cells", cells)
            if results and cells:
                yield _to_batch(results, cells, columns)
            elif results:  # the opening record is lost, and with it what they answer
                self.damaged += len(results)

    def _blocks(self) -> Iterator[list[bytes]]:
        """Yield lists of whole lines; what follows the last newline is a torn line and counts as damaged."""
        self._file.seek(0)
        left, rest = self._size, b""
        while left:
            with read_errors(self.path):
                chunk = self._file.read(min(BLOCK_BYTES, left))
            if not chunk:
                break
            left -= len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            yield lines
        self.is_torn = bool(rest)
        self.damaged += self.is_torn


def _checked(line: bytes) -> bytes | None:
    """Return the record of `line`, or None where its checksum does not fit."""
    body = line[9:]
    try:
        return body if int(line[:8], 16) == zlib.crc32(body) else None
    except ValueError:
        return None


def _to_batch(results: list[bytes], cells: list[dict[str, str]], wanted: Sequence[str]) -> pa.RecordBatch:
    data = b"\n".join(results)
    schema = pa.schema([field for field in _JSON_SCHEMA if field.name == "cell" or field.name in wanted])
    table = pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    ).combine_chunks()
    which = table["cell"].combine_chunks()
    columns = []
    for name in wanted:
        if name in _PER_CELL:
            columns.append(pa.array([cell[name] for cell in cells], pa.string()).take(which))
        else:
            columns.append(table[name].combine_chunks().cast(PREDICTIONS.field(name).type))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema([PREDICTIONS.field(name) for name in wanted]))
