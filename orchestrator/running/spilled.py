"""Take in a text that was too long for a line, from the file into which its worker put it."""

import hashlib
import os
import stat
from pathlib import Path

BYTES_MAX = 256 << 20


def take_spilled(path: Path) -> bytes | None:
    """Return the content of `path`, whose name ends in its digest, and delete it; None where they do not agree.

    What lies there is the worker's doing: a pipe that nobody fills and a link to somewhere else are not read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            is_fit = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = file.read(BYTES_MAX) if is_fit else b""
        path.unlink()
    except OSError:
        return None
    return data if path.stem.endswith(hashlib.sha256(data).hexdigest()) else None
