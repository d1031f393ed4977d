"""Keep what a worker writes to stderr: a capped file for people, the last lines for messages."""

import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import RawIOBase
from pathlib import Path
from typing import Self

from orchestrator.files import disk_errors
from orchestrator.redaction import RedactedStream, Redactor

CAP_BYTES = 16 << 20
TAIL_CHUNKS_BYTES = 16 << 10
LAST_LINES = 20
_NODE = re.compile(r"Node\.js v[\d.]+").fullmatch
_NODE_ERROR = re.compile(r"(?:Uncaught )?[\w.]*Error\b").match


@dataclass(slots=True)
class StderrLog:
    """A log that stops growing at `CAP_BYTES` and always knows the last words, both without secrets.

    Sessions follow one another in it; one that finds it half full begins anew and keeps the old one beside it.
    """

    path: Path
    redactor: Redactor
    _file: RawIOBase = field(init=False)
    _left: int = field(init=False)
    _tail: bytes = field(init=False, default=b"")
    _stream: RedactedStream = field(init=False)

    def __enter__(self) -> Self:
        """Open the file at its end and head the new session with the time."""
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_file() and self.path.stat().st_size >= CAP_BYTES // 2:  # room for what is to come
                self.path.replace(self.path.with_suffix(".old.log"))
            self._file = self.path.open("ab", buffering=0)
        self._left = CAP_BYTES - self._file.tell()
        self._stream = RedactedStream(self.redactor)
        self._put(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode())
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is held back and close the file."""
        self.finish()
        self._file.close()

    def write(self, chunk: bytes) -> None:
        """Keep `chunk`, the next piece of stderr; past the cap only the last words are."""
        self._keep(self._stream.feed(chunk))

    def note(self, text: bytes) -> None:
        """Keep `text`, which is whole and comes from elsewhere."""
        stream = RedactedStream(self.redactor)
        self._keep(stream.feed(text) + stream.finish())

    def finish(self) -> None:
        """Keep what was held back of stderr, of which nothing more is to come."""
        self._keep(self._stream.finish())

    def last_line(self) -> str:
        """Return the last line with something on it, at most 300 characters, or nothing.

        Node ends with its version, which says nothing: there it is the line with the error.
        """
        lines = self.last_lines(LAST_LINES)
        if lines and _NODE(lines[-1].strip()):
            lines = [line for line in lines if _NODE_ERROR(line)] or lines
        return lines[-1].strip()[:300] if lines else ""

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines with something on them, at most `count`."""
        lines = self._tail.decode("utf-8", "replace").splitlines()
        return list(deque((line for line in lines if line.strip()), count))

    def _keep(self, chunk: bytes) -> None:
        if chunk:
            self._tail = (self._tail + chunk)[-TAIL_CHUNKS_BYTES:]
            self._put(chunk)

    def _put(self, chunk: bytes) -> None:
        if self._left <= 0:
            return
        kept = chunk[: self._left]
        if len(chunk) >= self._left:
            kept += b"\n[the log is full; the rest was dropped]\n"
        self._left -= len(chunk)
        with suppress(OSError):  # a full disk is told by those who write what matters
            self._file.write(kept)
