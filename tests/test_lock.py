"""One process at a time works on a run, and the others learn at once which one."""

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.errors import BakeoffError, DiskError, LockedError
from orchestrator.running import lock
from orchestrator.running.lock import holding
from tests.test_journal import room_for

ROOT = Path(__file__).parent.parent
HOLDING = """
import sys, time
from pathlib import Path
from orchestrator.running.lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def start_holder(run):
    holder = subprocess.Popen([sys.executable, "-c", HOLDING, str(run)], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    return holder


def end(holder):
    holder.kill()
    holder.wait()
    holder.stdout.close()


def write_holder(run, **changes):
    (run / ".holder").write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), **changes}))


def dead_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_the_second_is_told_at_once_who_holds_the_run(tmp_path):
    holder = start_holder(tmp_path)
    try:
        start = time.monotonic()
        with pytest.raises(LockedError) as told, holding(tmp_path):
            pass
        assert time.monotonic() - start < 0.5
        assert f"is being worked on by process {holder.pid} on {socket.gethostname()}; wait for it" in str(told.value)
        assert told.value.exit_code == 11
    finally:
        end(holder)


def test_a_killed_holder_holds_nothing_whatever_its_file_says(tmp_path):
    end(start_holder(tmp_path))
    assert (tmp_path / ".holder").exists()
    with holding(tmp_path):
        assert json.loads((tmp_path / ".holder").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".holder").exists()


def test_the_lock_file_is_never_replaced(tmp_path):
    files = set()
    for _ in range(2):
        with holding(tmp_path):
            files.add((tmp_path / ".lock").stat().st_ino)
        files.add((tmp_path / ".lock").stat().st_ino)
    assert len(files) == 1


@pytest.mark.parametrize("content", ["", '{"pid": 12', "[]", '{"pid": null, "host": "h"}', '{"host": "h"}', "\x00"])
def test_a_holder_file_that_says_nothing_is_another_process(tmp_path, monkeypatch, content):
    monkeypatch.setattr(lock, "NAMED_WITHIN_S", 0.1)
    with holding(tmp_path):
        (tmp_path / ".holder").write_text(content)
        with pytest.raises(LockedError, match="worked on by another process"), holding(tmp_path):
            pass


def test_a_dead_process_is_not_named_as_holder_and_one_elsewhere_is_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "NAMED_WITHIN_S", 0.1)
    with holding(tmp_path):
        write_holder(tmp_path, pid=dead_pid())
        with pytest.raises(LockedError, match="worked on by another process"), holding(tmp_path):
            pass
        write_holder(tmp_path, pid=dead_pid(), host="elsewhere")
        with pytest.raises(LockedError, match=r"process \d+ on elsewhere"), holding(tmp_path):
            pass


def test_a_holder_that_has_not_said_yet_who_it_is_is_waited_for(tmp_path, monkeypatch):
    with holding(tmp_path):
        (tmp_path / ".holder").unlink()
        monkeypatch.setattr(time, "sleep", lambda _: write_holder(tmp_path))
        with pytest.raises(LockedError, match=f"process {os.getpid()} on"), holding(tmp_path):
            pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_in_one_sentence(tmp_path, monkeypatch, code):
    def flock(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    match = r"its file system cannot lock files, .* put the workspace on another disk"
    with pytest.raises(BakeoffError, match=match), holding(tmp_path):
        pytest.fail("went on without a lock")


def test_a_full_disk_leaves_the_lock_free(tmp_path):
    with pytest.raises(DiskError), room_for(1), holding(tmp_path):
        pass
    with holding(tmp_path):
        pass
