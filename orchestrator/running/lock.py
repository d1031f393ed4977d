"""Let one process at a time work on a run, and tell the others which one it is."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.errors import LockedError
from orchestrator.files import disk_errors, write_atomically


@contextmanager
def holding(run: Path) -> Iterator[None]:
    """Hold the lock of the run directory `run`; raise LockedError naming who holds it at once if it is taken."""
    with disk_errors(run):
        run.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run / ".lock", fallback_to_soft=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise LockedError(
                f"{run}: is being worked on by {_read_holder(run)}; wait for it, or use another --run"
            ) from None
    try:
        write_atomically(run / ".holder", json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        yield
    finally:
        with suppress(OSError):
            (run / ".holder").unlink(missing_ok=True)
        lock.release()


def _read_holder(run: Path) -> str:
    try:
        holder = json.loads((run / ".holder").read_text())
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError):
        return "another process"
