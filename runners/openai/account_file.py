"""The file through which the processes of one user share the state of an account.

It is read without a lock, a microsecond a time, and told from what was read before by its bytes; a time of change
would miss two changes within one tick of the clock. It is changed under a lock held for microseconds, by a single
write in place, and a checksum tells what is whole. Of the key only a hash is in its name.
"""

import fcntl
import hashlib
import os
import stat
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path
from urllib.parse import urlsplit

from pace import Record, believe

_FORM = struct.Struct("<8sdddqddddd")
_SUM = struct.Struct("<I")
_MAGIC = b"bakeoff2"
_SIZE = _FORM.size + _SUM.size
_LOCK_WITHIN_S = 0.2  # a process that was stopped while it held the lock must not stop all others


class AccountFile:
    """The shared record; where the folder cannot be used, a record of this process alone."""

    def __init__(self, path, wall=time.time):
        self._path, self._wall = path, wall
        self._fd, self._data, self._record = None, b"", Record()
        try:
            _make_private(path.parent)
            self._open()
        except OSError as error:
            self._go_on_alone(error)

    def read(self):
        """Return the record; the same object as long as nothing has changed."""
        if self._fd is None:
            return self._record
        try:
            data = os.pread(self._fd, _SIZE, 0)
            if data != self._data and _unpack(data) is None:  # met in the middle of a write
                with _locked(self._fd):
                    data = os.pread(self._fd, _SIZE, 0)
        except OSError as error:
            self._go_on_alone(error)
            return self._record
        return self._keep(data)

    def change(self, function):
        """Replace the record by `function(record, now)[0]` in one step; return the record and what else it returned."""
        now = self._wall()
        try:
            return self._change(function, now)
        except OSError as error:
            self._go_on_alone(error)
        self._record, result = function(believe(self._record, now), now)
        return self._record, result

    def close(self):
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _change(self, function, now):
        if self._fd is None:
            self._record, result = function(believe(self._record, now), now)
            return self._record, result
        if not os.fstat(self._fd).st_nlink:  # somebody tidied up: the others will have a new one
            self.close()
            self._open()
        with _locked(self._fd):
            before = believe(self._keep(os.pread(self._fd, _SIZE, 0)), now)
            record, result = function(before, now)
            if record is not before:
                data = _pack(record._replace(written=now))
                os.pwrite(self._fd, data, 0)
                self._keep(data)
        return self._record, result

    def _keep(self, data):
        if data != self._data:
            self._data, self._record = data, believe(_unpack(data) or Record(), self._wall())
        return self._record

    def _open(self):
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _go_on_alone(self, error):
        self.close()
        message = f"{self._path.parent}: cannot be used ({error}); the limits of the account hold for this process only"
        print(message, file=sys.stderr, flush=True)  # noqa: T201 - a runner's stderr is its log


class _locked:  # noqa: N801 - used as a function; contextlib's form costs more than the lock
    """Hold the lock of an open file; give up after 0.2 s and go on without, at the price of a lost change."""

    def __init__(self, fd):
        self._fd = fd

    def __enter__(self):
        end = time.monotonic() + _LOCK_WITHIN_S
        while True:
            try:
                return fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    return None
            time.sleep(0.0002)

    def __exit__(self, *_):
        fcntl.flock(self._fd, fcntl.LOCK_UN)


def _pack(record):
    data = _FORM.pack(_MAGIC, *record)
    return data + _SUM.pack(zlib.crc32(data))


def _unpack(data):
    """Return the record, None where the bytes are none."""
    if len(data) != _SIZE or _SUM.unpack(data[_FORM.size :])[0] != zlib.crc32(data[: _FORM.size]):
        return None
    magic, *values = _FORM.unpack(data[: _FORM.size])
    return Record(*values) if magic == _MAGIC else None


def _make_private(folder):
    """Make a folder that is this user's alone; refuse somebody else's, or a link to anywhere."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise NotADirectoryError("it is not a directory of this user's")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def account_path(base_url, key, folder=None):
    """Return where the state of a key at a host lies: under $XDG_RUNTIME_DIR, else the folder for temporary files."""
    name = hashlib.sha256(f"{urlsplit(base_url).netloc.lower()}\0{key}".encode()).hexdigest()[:32]
    return Path(folder or _runtime_folder()) / f"{name}.account"


def _runtime_folder():
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime, "bakeoff") if runtime else Path(tempfile.gettempdir(), f"bakeoff-{os.getuid()}")
