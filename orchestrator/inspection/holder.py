"""Who works on a run now, found out without standing in anybody's way."""

import json
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system: there nobody can run either
    fcntl = None  # type: ignore[assignment]


def find_holder(run: Path) -> str | None:
    """Return who holds the lock of `run`, such as `process 12 on host`; None where nobody does.

    Who holds it has written `.holder`; a killed process leaves that behind. So the lock is only tried where there is
    one, and shared: a run that starts in that instant, after a kill, is the only one that could be told to wait.
    """
    if fcntl is None or not (run / ".holder").is_file():
        return None
    try:
        descriptor = os.open(run / ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _read_name(run)
    else:
        return None
    finally:
        os.close(descriptor)


def _read_name(run: Path) -> str:
    try:
        holder = json.loads((run / ".holder").read_text())
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
