"""What was downloaded before: each content once, by its digest, and which URL had which.

A URL may carry a signature, so it is known here by its SHA-256 alone. Losing the cache costs time only.
"""

import hashlib
import os
import sqlite3
import threading
from pathlib import Path
from typing import NamedTuple, Self

from filelock import FileLock, Timeout

from orchestrator.errors import LockedError
from orchestrator.files import disk_errors, sync_file
from orchestrator.importing.download import Validators

_CREATE = """CREATE TABLE IF NOT EXISTS urls (url TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT, modified TEXT) WITHOUT ROWID"""
_FIND = "SELECT sha256, size, etag, modified FROM urls WHERE url = ?"
_KEEP = "INSERT OR REPLACE INTO urls VALUES (?, ?, ?, ?, ?)"


class Kept(NamedTuple):
    """A file that is had already."""

    path: Path
    validators: Validators


class UrlCache:
    """The cache in `folder`, for one process at a time; its threads may share it. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        """Say where it is; it is opened on entering."""
        self._folder = folder
        self._lock = FileLock(folder / "lock")
        self._mutex = threading.Lock()

    def __enter__(self) -> Self:
        """Open it; raise LockedError where another process has it."""
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self._folder / "parts").mkdir(exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise LockedError(
                f"{self._folder}: another import is downloading into it; wait for that one, or stop it"
            ) from None
        path = self._folder / "index.sqlite"
        try:
            self._database = _open(path)
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            self._database = _open(path)
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self._database.close()
        self._lock.release()

    def part(self, url: str) -> Path:
        """Return where an unfinished download of `url` lies, or will."""
        return self._folder / "parts" / _digest(url)

    def find(self, url: str) -> Kept | None:
        """Return the file that `url` had, if it is still whole by its size."""
        with self._mutex:
            row = self._database.execute(_FIND, (_digest(url),)).fetchone()
        if row is None:
            return None
        path = self._object(row[0])
        is_whole = path.is_file() and path.stat().st_size == row[1]
        return Kept(path, Validators(row[2], row[3])) if is_whole else None

    def keep(self, url: str, part: Path, validators: Validators) -> Path:
        """Move a finished download to its place and return that."""
        with disk_errors(part):
            with part.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            path, size = self._object(sha256), part.stat().st_size
            path.parent.mkdir(parents=True, exist_ok=True)
            sync_file(part)
            os.replace(part, path)  # noqa: PTH105 - the atomic call is named
            part.with_name(f"{part.name}.json").unlink(missing_ok=True)
        with self._mutex, self._database:
            self._database.execute(_KEEP, (_digest(url), sha256, size, *validators))
        return path

    def _object(self, sha256: str) -> Path:
        return self._folder / "objects" / sha256[:2] / sha256


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA synchronous = OFF")
        database.execute(_CREATE)
        database.execute(_FIND, ("",)).fetchone()
    except sqlite3.Error:
        database.close()
        raise
    return database


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
