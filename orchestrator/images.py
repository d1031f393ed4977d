"""Images before a model is asked: their digest and size, or one sentence on why they cannot be used."""

import hashlib
import os
import sqlite3
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from orchestrator.image_headers import FORMATS, DamagedError, find_format, read_sizes

MAX_BYTES = 50_000_000
MAX_PIXELS = 64_000_000
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif", ".webp", ".tif", ".tiff"})
MISSING = "there is no such image"
_FLUSH_EVERY = 256
_RECENT = 4096
_SETTLED_NS = 2 * 10**9
_CREATE = """CREATE TABLE IF NOT EXISTS probes (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER,
    sha256 TEXT, width INTEGER, height INTEGER) WITHOUT ROWID"""
_FIND = "SELECT sha256, width, height FROM probes WHERE path = ? AND size = ? AND mtime_ns = ?"
_KEEP = "INSERT OR REPLACE INTO probes VALUES (?, ?, ?, ?, ?, ?)"
_LOOKS = {
    b"%PDF": "a PDF; render its pages as images",
    b"PK\x03\x04": "a zip archive or office document",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file with `git lfs pull`",
    b"\xff\xd8": "a damaged JPEG",
    b"\x89PNG": "a damaged PNG",
    b"<": "HTML or XML, perhaps an error page saved in the image's place",
    b"{": "JSON, perhaps an error message saved in the image's place",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known of an image file; `width` and `height` are pixels as stored, before any EXIF rotation.

    `defect` is a sentence naming the file where it cannot be asked about; what is not known is None.
    """

    sha256: str | None
    width: int | None
    height: int | None
    defect: str | None = None


def probe(path: Path) -> Probe:
    """Read `path` and its image header; never raise for a defect, never decode pixels."""
    try:
        status = path.stat()
        problem = _wrong_file(status)
        data = b"" if problem else path.read_bytes()
    except (OSError, ValueError) as error:
        return Probe(None, None, None, describe_unreadable(path, error))
    if problem:
        return _defect(path, problem)
    return _read_header(path, data)


def describe_unreadable(path: Path, error: OSError | ValueError) -> str:
    """Return the sentence that names `path` and says why it cannot be read."""
    if isinstance(error, FileNotFoundError):
        return f"{path}: {MISSING}"
    return f"{path}: the image cannot be read: {getattr(error, 'strerror', None) or error}"


class DigestCache:
    """Probes kept in a file, so that an image that did not change is not read again.

    An image is known by absolute path, size and mtime. Processes may share the file. Losing it costs time
    only: where it is damaged it is begun anew, and where it cannot be written nothing is kept.
    """

    def __init__(self, path: Path) -> None:
        """Say where the file is; it is opened on entering."""
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._recent: dict[Path, Probe] = {}
        self._pending: list[tuple[bytes, int, int, str | None, int | None, int | None]] = []

    def __enter__(self) -> Self:
        """Open the file, or begin it."""
        try:
            self._database = _open(self._path)
        except sqlite3.OperationalError:
            self._database = None
        except sqlite3.DatabaseError:
            with suppress(OSError, sqlite3.Error):
                self._path.unlink()
                self._database = _open(self._path)
        return self

    def __exit__(self, *exception: object) -> None:
        """Keep what was learned and close the file."""
        self._flush()
        if self._database is not None:
            self._database.close()

    def probe(self, path: Path) -> Probe:
        """Return `probe(path)`, from the file where it is known; a session looks at a path about once."""
        if path not in self._recent:
            if len(self._recent) >= _RECENT:
                self._recent.clear()
            self._recent[path] = self._ask(path)
        return self._recent[path]

    def _ask(self, path: Path) -> Probe:
        try:
            status = path.stat()
        except (OSError, ValueError):
            return probe(path)
        key = (os.fsencode(path.absolute()), status.st_size, status.st_mtime_ns)
        found = self._find(key)
        if found is not None:
            return found
        result = probe(path)
        # A file written this very moment may change again within the same mtime.
        if result.defect is None and time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
            self._pending.append((*key, result.sha256, result.width, result.height))
            if len(self._pending) >= _FLUSH_EVERY:
                self._flush()
        return result

    def _find(self, key: tuple[bytes, int, int]) -> Probe | None:
        if self._database is None:
            return None
        with suppress(sqlite3.Error):
            row = self._database.execute(_FIND, key).fetchone()
            return Probe(*row) if row else None
        return None

    def _flush(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error), self._database:
                self._database.executemany(_KEEP, self._pending)
        self._pending.clear()


def _open(path: Path) -> sqlite3.Connection:
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=10)
    try:
        database.execute(_CREATE)
        database.execute(_FIND, (b"", 0, 0)).fetchone()
    except sqlite3.Error:
        database.close()
        raise
    return database


def _wrong_file(status: os.stat_result) -> str | None:
    if stat.S_ISDIR(status.st_mode):
        return "is a folder, not an image"
    if not stat.S_ISREG(status.st_mode):
        return "is not a file"
    if status.st_size == 0:
        return "the image is empty (0 bytes)"
    if status.st_size > MAX_BYTES:
        return f"the image has {status.st_size / 1e6:.0f} MB, more than {MAX_BYTES // 10**6} MB; make it smaller"
    return None


def _read_header(path: Path, data: bytes) -> Probe:
    sha256 = hashlib.sha256(data).hexdigest()
    name = find_format(data)
    if name is None:
        return Probe(sha256, None, None, f"{path}: is not an image; it looks like {_look(data)}")
    first = None
    try:
        for width, height in read_sizes(name, data):
            first = first or (width, height)
            if width * height > MAX_PIXELS:
                return Probe(sha256, width, height, f"{path}: {_too_large(f'{width} x {height} pixels')}")
    except DamagedError as error:
        return Probe(sha256, None, None, f"{path}: is a damaged {name}: {error}")
    return Probe(sha256, *(first or (None, None)))


def _too_large(size: str) -> str:
    return f"the image has {size}, more than {MAX_PIXELS // 10**6} megapixels; make it smaller"


def _look(data: bytes) -> str:
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, look in _LOOKS.items():
        if start.startswith(magic):
            return look
    if start[4:12] in {b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"}:
        return "HEIC or AVIF; convert it to PNG or JPEG"
    if start.isascii() and b"\0" not in start:
        return "text"
    return f"none of {', '.join(FORMATS)}"


def _defect(path: Path, sentence: str) -> Probe:
    return Probe(None, None, None, f"{path}: {sentence}")
