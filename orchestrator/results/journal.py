"""The truth while a run is going on: append-only files of checksummed JSON lines, one a session, never reopened."""

import json
import os
import re
import secrets
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.json as pj
from pydantic_core import to_json

from orchestrator.errors import BakeoffError
from orchestrator.files import DISK_FLOOR_BYTES, check_space, disk_errors, read_errors, sync_folder
from orchestrator.results.schema import PREDICTIONS, SCHEMA_VERSION

SYNC_EVERY_S = 1.0
BLOCK_BYTES = 2 << 20
LINE_BYTES = (6 * 256 + 16) << 20  # the longest text that is taken, each byte of it written as \u00xx
JUNK_BYTES = 16 << 20  # so much is kept of a line that does not begin as a record
_RESULT = b'{"t":"result",'
_ANY = b'{"t":"'  # a line torn to "0" has the checksum of nothing
_HEAD = re.compile(rb'[0-9a-f]{8} \{"t":"')
_BODY_START = re.compile(rb' \{"t":"')  # no text has it, in which a quote is escaped
_DROPPED = b"?"
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
    end; who waits for answers calls `sync_if_due` meanwhile. As often it looks whether `floor_bytes` are still free.
    Raises DiskError where they are not, or where a write fails; the whole lines written until then stay. Any thread may
    write to it.
    """

    folder: Path
    cells: Sequence[CellColumns]
    floor_bytes: int = DISK_FLOOR_BYTES
    path: Path = field(init=False)
    _descriptor: int = field(init=False)
    _is_torn: bool = field(init=False, default=False)
    _synced: float = field(init=False, default=0.0)
    _looked: float = field(init=False, default=0.0)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _dirty: bool = field(init=False, default=False)

    def __enter__(self) -> Self:
        """Create the file and write its opening record."""
        check_space(self.folder, self.floor_bytes)
        self._looked = time.monotonic()
        self.path = self.folder / f"{_next_ms(self.folder)}-{secrets.token_hex(4)}.jsonl"
        cells = [{name: getattr(cell, name) for name in _PER_CELL} for cell in self.cells]
        with disk_errors(self.path):
            self.folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
            self._descriptor = os.open(self.path, flags, 0o644)
            sync_folder(self.folder)
        opening = _line(to_json({"t": "open", "version": SCHEMA_VERSION, "pid": os.getpid(), "cells": cells}))
        try:
            self._write(opening + opening)  # every row needs it
        except BakeoffError:
            os.close(self._descriptor)
            with suppress(OSError):
                self.path.unlink()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Force everything to the disk and close the file."""
        try:
            self.sync()
        finally:
            os.close(self._descriptor)

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write `rows` (columns of PREDICTIONS, `cell` in place of the shared ones) in one go; `time` is in µs."""
        data = b"".join([_line(_RESULT + to_json(row, ensure_ascii=True)[1:]) for row in rows])
        with self._lock:
            self._write(data)

    def sync(self) -> None:
        """Force what was written to the disk."""
        if self._dirty:
            with disk_errors(self.path):
                os.fsync(self._descriptor)
            self._dirty = False
        self._synced = time.monotonic()

    def sync_if_due(self) -> None:
        """Sync where that was last done `SYNC_EVERY_S` ago, and look as often for the room left; cheap otherwise."""
        with self._lock:
            self._sync_if_old()
        now = time.monotonic()
        if now - self._looked >= SYNC_EVERY_S:
            self._looked = now
            check_space(self.folder, self.floor_bytes)

    def _sync_if_old(self) -> None:
        if self._dirty and time.monotonic() - self._synced >= SYNC_EVERY_S:
            self.sync()

    def _write(self, data: bytes) -> None:
        whole = b"\n" + data if self._is_torn else data
        written = 0
        try:
            with disk_errors(self.path):
                while written < len(whole):
                    written += os.write(self._descriptor, memoryview(whole)[written:])
                    self._dirty = True
        except BakeoffError:
            self._cut_back(written - whole.rfind(b"\n", 0, written) - 1)
            raise
        self._is_torn = False
        self._sync_if_old()

    def _cut_back(self, torn: int) -> None:
        """Take off the `torn` last bytes after a failed write; where that fails too, the next write begins a line."""
        try:
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - torn)
        except OSError:
            self._is_torn = True


def _next_ms(folder: Path) -> int:
    """Return the time in ms, or more where a journal was named later: the last row counts, whatever a clock does."""
    numbers = (path.name.partition("-")[0] for path in folder.glob("*.jsonl"))
    return max([time.time_ns() // 1_000_000, *(int(number) + 1 for number in numbers if number.isdecimal())])


def _line(body: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(body), body)


@dataclass(slots=True)
class JournalReader:
    """Read the rows of one journal, as often as wanted, through one open file that a later unlink cannot take away.

    A reader sees the journal as long as it was when opened. `damaged` counts lines that a crash tore or a disk bent;
    they are skipped and reported, never taken for an answer. `is_torn` tells whether one of them is the unfinished end
    that a kill leaves.
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
        self.damaged, self.is_torn = 0, False
        cells: list[dict[str, str]] = []
        for lines in self._blocks():
            bodies: list[bytes] = []
            for line in lines:
                bodies += self._bodies(line)
            results = [body for body in bodies if body.startswith(_RESULT)]
            if len(results) < len(bodies):
                for body in bodies:
                    if not body.startswith(_RESULT):
                        cells = self._opened(json.loads(body))
            if results and cells:
                yield _to_batch(results, cells, columns)
            elif results:  # the opening record is lost, and with it what they answer
                self.damaged += len(results)

    def _bodies(self, line: bytes) -> Sequence[bytes]:
        """Return the records of a line: one, or the two that a bent newline joined; count what is none."""
        if (body := _checked(line)) is not None:
            return (body,)
        parts = _parts(line)
        bodies = [body for part in parts for body in (_checked(part), _checked(part[:-1])) if body is not None]
        self.damaged += max(len(parts), 1) - len(bodies)
        return bodies

    def _opened(self, record: dict[str, Any]) -> list[dict[str, str]]:
        """Return the cells of an opening record; raise BakeoffError where it is newer than us."""
        version = record.get("version", 1)
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise BakeoffError(f"{self.path}: was written by a newer bakeoff (schema {version}); upgrade to read it")
        cells: list[dict[str, str]] = record["cells"]
        return cells

    def _blocks(self) -> Iterator[list[bytes]]:
        """Yield lists of lines; what follows the last newline was torn off, unless its checksum fits."""
        pieces: list[bytes] = []
        for chunk in self._chunks():
            end, *lines = chunk.split(b"\n")
            pieces.append(end)
            if lines:
                yield [b"".join(pieces), *lines[:-1]]
                pieces = [lines[-1]]
            if _is_hopeless(pieces):
                pieces = [_DROPPED]
        if any(pieces):
            damaged = self.damaged
            yield [b"".join(pieces)]
            self.is_torn = self.damaged > damaged

    def _chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        left = self._size
        while left:
            with read_errors(self.path):
                chunk = self._file.read(min(BLOCK_BYTES, left))
            if not chunk:
                break
            left -= len(chunk)
            yield chunk


def _is_hopeless(pieces: list[bytes]) -> bool:
    """Tell whether what was read of a line is too long to be the beginning of a record."""
    size = sum(map(len, pieces))
    return size > LINE_BYTES or (size > JUNK_BYTES and not _HEAD.match(b"".join(pieces[:2])))


def _parts(line: bytes) -> list[bytes]:
    """Cut a line before whatever looks like a record."""
    starts = [place for found in _BODY_START.finditer(line) if (place := found.start() - 8) > 0]
    return [line[start:end] for start, end in pairwise([0, *starts, len(line)]) if line]


def _checked(line: bytes) -> bytes | None:
    """Return the record of `line`, or None where it is none or its checksum does not fit."""
    body = line[9:]
    return body if body.startswith(_ANY) and line[:9] == b"%08x " % zlib.crc32(body) else None


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
