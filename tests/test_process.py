"""Programs are started, waited for and stopped with all their descendants."""

import ast
import inspect
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator import process, worker
from orchestrator.errors import BakeoffError
from orchestrator.process import MARK, git_commit, run, spawn
from tests.workers import wait_until_gone

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of other processes")


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


def test_the_commit_is_that_of_a_repository_which_has_something_of_the_folder(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    workspace, other = tmp_path / "workspace", tmp_path / "other"
    for folder in (workspace, other):
        folder.mkdir()
        folder.joinpath("bakeoff.toml").touch()
    subprocess.run([*git, "init", "-q"], check=True)
    assert git_commit(workspace) is None, "nothing was committed yet"
    subprocess.run([*git, "add", "workspace"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert (git_commit(workspace), git_commit(tmp_path), git_commit(other)) == (head, head, None)


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
    assert wait_until_gone(int(pid_file.read_text()), 5)


LEAVES = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(5)
    os._exit(0)
time.sleep(60)
"""


@pytest.mark.slow
def test_past_its_time_nobody_waits_for_what_left_its_group():
    before = sorted(path.name for path in Path("/dev/fd").iterdir())
    started = time.monotonic()
    with pytest.raises(BakeoffError, match=r"took more than 0\.2 s"):
        run([sys.executable, "-c", LEAVES], timeout_s=0.2)
    assert time.monotonic() - started < 3
    assert sorted(path.name for path in Path("/dev/fd").iterdir()) == before


# Prints one pid a line: its own, and those of what it starts as its argument says.
STARTS = """
import os, subprocess, sys, time
print(os.getpid(), flush=True)
if sys.argv[1] == "daemon":
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            time.sleep(60)
        os._exit(0)
    os.wait()
elif sys.argv[1] == "nameless":
    print(subprocess.Popen(["sleep", "60"], env={}, process_group=0).pid, flush=True)
elif sys.argv[1] == "nested":
    environment = {**os.environ, "BAKEOFF_WORKER": os.environ["BAKEOFF_WORKER"] + "0"}
    print(subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True).pid, flush=True)
time.sleep(float(sys.argv[2]))
"""


def start(what, tmp_path, seconds=60):
    """Start a worker that starts `what`, and return it with the two pids."""
    child = spawn([sys.executable, "-c", STARTS, what, str(seconds)], dict(os.environ), tmp_path)
    os.set_blocking(child.stdout, True)
    said = b""
    while said.count(b"\n") < 2:
        said += os.read(child.stdout, 100)
    return child, *map(int, said.split())


@on_linux
@pytest.mark.parametrize("what", ["daemon", "nameless"])
@pytest.mark.parametrize("seconds", [60, 0])
def test_what_left_the_group_of_a_worker_dies_with_it(what, seconds, tmp_path):
    child, worker, other = start(what, tmp_path, seconds)
    if not seconds:
        assert child.wait(5) == 0
    assert child.kill(2)
    assert wait_until_gone(worker, 0)
    assert wait_until_gone(other, 0)
    child.close()


def test_every_worker_carries_a_token_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv(MARK, "of a bakeoff around us")
    tokens = set()
    for _ in range(2):
        child = spawn([sys.executable, "-c", f"import os; print(os.environ[{MARK!r}])"], dict(os.environ), tmp_path)
        assert child.wait(10) == 0
        tokens.add(os.read(child.stdout, 100))
        child.kill(1)
        child.close()
    assert len(tokens) == 2
    assert b"of a bakeoff around us\n" not in tokens


@on_linux
def test_a_token_must_be_the_same_to_the_last_character(tmp_path):
    child, worker, other = start("nested", tmp_path)
    child.kill(2)
    child.close()
    assert wait_until_gone(worker, 0)
    assert not wait_until_gone(other, 0.1)
    os.kill(other, 9)


ENCLOSED = """
import os, sys
from pathlib import Path
from orchestrator.process import spawn
child = spawn(["sleep", "60"], dict(os.environ), Path.cwd())
child.kill(2)
print(child.wait(0), os.getppid() == int(sys.argv[1]))
"""


def test_a_bakeoff_inside_of_a_worker_kills_its_own_workers_alone(tmp_path):
    environment = {**os.environ, MARK: "of the worker around it", "PYTHONPATH": str(Path(__file__).parent.parent)}
    argv = [sys.executable, "-c", ENCLOSED, str(os.getpid())]
    with subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True) as sibling:
        done = run(argv, env=environment, cwd=tmp_path)
        assert done.stdout == "-9 True\n", done.stderr
        assert sibling.poll() is None
        sibling.kill()


def test_to_kill_takes_no_longer_than_it_was_given(tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.process._find_left", lambda *_: [2**22 + 1])  # one that never ends
    child = spawn(["sleep", "60"], dict(os.environ), tmp_path)
    started = time.monotonic()
    assert not child.kill(0.2)
    assert 0.2 <= time.monotonic() - started < 2
    assert child.wait(0) == -9
    child.close()


def code_of(function):
    """Return the syntax of a function without its docstring, its names without their leading underscores."""
    (tree,) = ast.parse(inspect.getsource(function)).body
    if isinstance(tree.body[0], ast.Expr):
        del tree.body[0]
    tree.returns, tree.name = None, ""
    return ast.unparse(tree).replace("_MARK", "MARK").replace("_read", "read")


def test_a_worker_looks_for_what_it_left_just_as_we_do():
    """The worker can import nothing of ours, so it has a copy: this is what keeps the two alike."""
    for ours, theirs in (
        (process._find_left, worker.find_left),
        (process._read_processes, worker._read_processes),
        (process._read_stat, worker.read_stat),
    ):
        assert code_of(ours) == code_of(theirs)
