"""Keep what a worker writes to stderr: a capped file for people, the last lines for messages."""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import RawIOBase
from pathlib import Path
from typing import Self

from orchestrator.files import disk_errors

CAP_BYTES = 16 << 20
TAIL_CHUNKS_BYTES = 16 << 10


@dataclass(slots=True)
class StderrLog:
    """A log that stops growing at `CAP_BYTES` and always knows the last words.

    Sessions follow one another in it; one that finds it half full begins anew and keeps the old one beside it.
    """

    path: Path
    _file: RawIOBase = field(init=False)
    _left: int = field(init=False)
    _tail: bytes = field(init=False, default=b"")

    def __enter__(self) -> Self:
        """Open the file at its end and head the new session with the time."""
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_file() and self.path.stat().st_size >= CAP_BYTES // 2:  # room for what is to come
                self.path.replace(self.path.with_suffix(".old.log"))
        self._file = self.path.open("ab", buffering=0)
        self._left = CAP_BYTES - self._file.tell()
        self._put(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode())
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def write(self, chunk: bytes) -> None:
        """Keep `chunk`; past the cap only the last words are."""
        self._tail = (self._tail + chunk)[-TAIL_CHUNKS_BYTES:]
        self._put(chunk)

    def last_line(self) -> str:
        """Return the last line with something on it, at most 300 characters, or nothing."""
        lines = deque((line for line in self._tail.decode("utf-8", "replace").splitlines() if line.strip()), 1)
        return lines[0].strip()[:300] if lines else ""

    def _put(self, chunk: bytes) -> None:
        if self._left <= 0:
            return
        kept = chunk[: self._left]
        if len(chunk) >= self._left:
            kept += b"\n[the log is full; the rest was dropped]\n"
        self._left -= len(chunk)
        with suppress(OSError):  # a full disk is told by those who write what matters
            self._file.write(kept)
