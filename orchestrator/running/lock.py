"""Let one process at a time work on a run, and tell the others which one it is."""

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.errors import BakeoffError, LockedError
from orchestrator.files import disk_errors, write_atomically

NAMED_WITHIN_S = 1.0
_LOOK_EVERY_S = 0.02
_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}


@contextmanager
def holding(run: Path) -> Iterator[None]:
    """Hold the lock of the run directory `run`; raise LockedError naming who holds it if it is taken.

    That is at once, but for the moment in which the other has the lock and has not said yet who it is. The lock is the
    system's and ends with its process; the file stays, since two that lock a file before and after it was deleted would
    both hold it. Raises BakeoffError where the file system has no locks.
    """
    with disk_errors(run):
        run.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run / ".lock", fallback_to_soft=False)
        _acquire(lock, run)
    try:
        write_atomically(run / ".holder", json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        yield
    finally:
        with suppress(OSError):
            (run / ".holder").unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, run: Path) -> None:
    deadline = time.monotonic() + NAMED_WITHIN_S
    while True:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            holder = read_holder(run)
            if holder is None and time.monotonic() < deadline:
                time.sleep(_LOOK_EVERY_S)
                continue
            whom = holder or "another process"
            raise LockedError(f"{run}: is being worked on by {whom}; wait for it, or use another --run") from None
        except (NotImplementedError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _UNSUPPORTED:
                raise
            raise BakeoffError(
                f"{run}: its file system cannot lock files, so that two could work on the run at once; "
                "put the workspace on another disk"
            ) from error
        return


def read_holder(run: Path) -> str | None:
    """Return who says to hold the lock; None where nobody does, or only one of this host who is dead."""
    try:
        holder = json.loads((run / ".holder").read_text())
        pid, host = int(holder["pid"]), str(holder["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if host == socket.gethostname() and not _is_alive(pid):
        return None
    return f"process {pid} on {host}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
