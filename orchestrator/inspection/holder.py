"""Who works on a run now, found out without standing in anybody's way."""

import errno
import os
from pathlib import Path

from orchestrator.running.lock import read_holder

try:
    import fcntl
except ImportError:  # not a POSIX system: there nobody can run either
    fcntl = None  # type: ignore[assignment]


_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}  # any other error tells of the disk, not of a holder


def find_holder(run: Path, *, is_thorough: bool = False) -> str | None:
    """Return who holds the lock of `run`, such as `process 12 on host`; None where nobody does.

    Who holds it has written `.holder`; a killed process leaves that behind. So the lock is only tried where there is
    one, or where the look is thorough, and shared: a run that starts in that instant just tries again, unless one was
    killed on another host before, which has it told to wait.
    """
    if fcntl is None or not (is_thorough or (run / ".holder").is_file()):
        return None
    try:
        descriptor = os.open(run / ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return (read_holder(run) or "another process") if error.errno in _HELD else None
    else:
        return None
    finally:
        os.close(descriptor)
