"""Programs are started, waited for and stopped with all their descendants."""

import os
import sys
import time
from pathlib import Path

import pytest

from orchestrator.errors import BakeoffError
from orchestrator.process import run


def test_both_outputs_and_the_status_come_back():
    done = run([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"])
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_bytes_that_are_not_utf8_are_replaced():
    done = run([sys.executable, "-c", r"import os; os.write(1, b'\xff!')"])
    assert done.stdout == "\ufffd!"


def test_a_program_has_nothing_to_read():
    assert run([sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"]).stdout == "''\n"


def test_environment_and_folder_are_the_given_ones(tmp_path):
    done = run([sys.executable, "-c", "import os; print(os.getcwd(), os.environ['A'])"], env={"A": "b"}, cwd=tmp_path)
    assert done.stdout.split() == [str(tmp_path.resolve()), "b"]


def test_a_signal_is_a_negative_status():
    assert run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]).returncode == -9


def test_a_program_that_is_not_there_is_one_sentence():
    with pytest.raises(BakeoffError, match=r"^/nowhere/tool: cannot be started: No such file"):
        run(["/nowhere/tool"])


def test_past_its_time_a_program_is_killed_with_its_descendants(tmp_path):
    pid_file = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {pid_file}; wait"
    started = time.monotonic()
    with pytest.raises(BakeoffError, match=r"took more than 0\.5 s"):
        run(["/bin/sh", "-c", script], timeout_s=0.5)
    assert time.monotonic() - started < 10
    assert _is_gone(int(pid_file.read_text()))


def _is_gone(pid: int) -> bool:
    """Wait a little for whoever adopted the process to reap it."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{pid}/stat")
        if stat.is_file() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False
