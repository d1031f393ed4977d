"""Who may build, use or remove an environment: locks on files that stay, freed when their process dies."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.files import disk_errors

_LOOK_EVERY_S = 0.5


@contextmanager
def building(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the right to build the environment `folder`; while another has it call `on_wait`, which may raise."""
    lock = FileLock(_lock_path(folder, "lock"), fallback_to_soft=False)
    with disk_errors(folder):
        patience_s = 0.0
        while True:
            try:
                lock.acquire(timeout=patience_s)
                break
            except Timeout:
                on_wait()
                patience_s = _LOOK_EVERY_S
    try:
        yield
    finally:
        lock.release()


@contextmanager
def using(folder: Path) -> Iterator[None]:
    """Hold a share in the environment `folder`, which keeps it from being removed."""
    with _use_file(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def removing(folder: Path) -> Iterator[bool]:
    """Yield whether nobody builds or uses the environment `folder`, and keep it so meanwhile."""
    with _use_file(folder) as descriptor:
        lock = FileLock(_lock_path(folder, "lock"), fallback_to_soft=False)
        try:
            yield _has_locked(lock, descriptor)
        finally:
            lock.release()


def _has_locked(lock: FileLock, descriptor: int) -> bool:
    """Take both locks without waiting."""
    try:
        lock.acquire(blocking=False)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (Timeout, BlockingIOError):
        return False
    return True


@contextmanager
def _use_file(folder: Path) -> Iterator[int]:
    """Open the file that users of the environment share a lock on; closing it frees the lock."""
    path = _lock_path(folder, "used")
    with disk_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_path(folder: Path, kind: str) -> Path:
    locks = folder.parent / "locks"
    with disk_errors(locks):
        locks.mkdir(parents=True, exist_ok=True)
    return locks / f"{folder.name}.{kind}"
