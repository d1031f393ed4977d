"""Replace files so that a reader sees the old one or the new one, whole."""

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import BakeoffError, DiskError

DISK_FLOOR_BYTES = 200_000_000
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_BROKEN = {errno.EIO, errno.ENXIO, errno.ESTALE}
_NOT_FOR_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success sync it and move it over `path`, else remove it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with disk_errors(path):
            yield temporary
            sync_file(temporary)
            os.replace(temporary, path)  # noqa: PTH105 - the atomic call is named
            sync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` with `data`; raise DiskError where the disk is full or cannot be written."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def check_space(folder: Path, floor_bytes: int = DISK_FLOOR_BYTES) -> None:
    """Raise DiskError where less than `floor_bytes` are free for us on the disk that `folder` is or will be on."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    with disk_errors(folder):
        disk = shutil.disk_usage(there)
    if disk.total and disk.free < floor_bytes:  # some network file systems know no sizes and say 0 of 0
        raise DiskError(
            f"{folder}: its disk has {disk.free // 10**6} MB free, and bakeoff stops below {floor_bytes // 10**6} MB; "
            "free some space and run the same command again"
        )


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what an operating system says about a full or closed disk into one sentence about `path`."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BlockingIOError | InterruptedError):
            raise
        if error.errno in _FULL:
            raise DiskError(f"{path}: the disk is full; free some space and run the same command again") from error
        if error.errno in _CLOSED:
            remedy = "make it writable for you, or work in another folder"
            raise DiskError(f"{path}: cannot be written: {error.strerror}; {remedy}") from error
        if error.errno in _BROKEN:
            raise DiskError(f"{path}: cannot be written: {error.strerror}; look to the disk and run again") from error
        raise BakeoffError(f"{path}: {error.strerror or error}") from error


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn what an operating system says while `path` is read into one sentence; FileNotFoundError goes on."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> BakeoffError:
    """Return the sentence on what an operating system said while `path` was read; it need not be damaged."""
    if isinstance(error, FileNotFoundError):
        return BakeoffError(f"{path}: is not there; run the same command again")
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _CLOSED:
        return BakeoffError(f"{path}: cannot be read: {reason}; make it readable for you")
    kind = DiskError if error.errno in _BROKEN else BakeoffError
    return kind(f"{path}: cannot be read: {reason}; look to the disk and run again")


def remove_temporaries(folder: Path, older_than_s: float = 0.0) -> None:
    """Delete what killed processes left of `replacing` in `folder`, where it was last written so long ago."""
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):
            if TEMPORARY.fullmatch(path.name) and time.time() - path.stat().st_mtime >= older_than_s:
                path.unlink()


def sync_file(path: Path) -> None:
    """Wait until the content of `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the names in `path` are on the disk; a no-op where folders cannot be opened or synced."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(descriptor)
