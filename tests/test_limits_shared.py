"""An account that several processes share: the file, what becomes of it, and two models at one endpoint."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.servers.chat import chat_server
from tests.test_limits import account_file, limits, pace

ROOT = Path(__file__).parent.parent
COUNTING = """
import sys, time
sys.path.append("runners/openai")
from account_file import AccountFile
from pathlib import Path
file = AccountFile(Path(sys.argv[1]))
print("ready", flush=True)
time.sleep(max(0, float(sys.argv[3]) - time.time()))
for _ in range(int(sys.argv[2])):
    file.change(lambda record, now: (record._replace(episodes=record.episodes + 1), None))
"""
HOLDING = """
import fcntl, sys, time
file = open(sys.argv[1], "rb+")
fcntl.flock(file, fcntl.LOCK_EX)
file.write(b"half a rec")
file.flush()
print("ready", flush=True)
time.sleep(60)
"""


def start(code, *words):
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, words)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


def put(file, **values):
    """Put a record into the file as another process would."""
    return file.change(lambda record, now: (record._replace(**{k: now + v for k, v in values.items()}), None))


@pytest.mark.slow
def test_no_change_is_lost_between_processes(tmp_path):
    path = tmp_path / "state" / "a"
    together = time.time() + 1
    processes = [start(COUNTING, path, 1000, together) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    for process in processes:
        process.stdout.close()
    assert account_file.AccountFile(path).read().episodes == 4000


@pytest.mark.slow
def test_a_process_killed_at_any_moment_leaves_a_whole_record(tmp_path):
    path, seen = tmp_path / "state" / "a", 0
    for number in range(12):
        process = start(COUNTING, path, 10**9, 0)
        time.sleep(0.01 + 0.003 * number)
        end(process)
        assert account_file._unpack(path.read_bytes())
        before, seen = seen, account_file.AccountFile(path).read().episodes
        assert seen >= before
    assert seen > 0


def test_a_process_killed_while_it_holds_the_lock_does_no_harm(tmp_path):
    path = tmp_path / "state" / "a"
    file = account_file.AccountFile(path)
    put(file, pause_until=100)
    end(start(HOLDING, path))
    begin = time.monotonic()
    assert file.read() == pace.Record()  # what was half written is begun anew
    put(file, pause_until=50)
    assert time.monotonic() - begin < 0.1
    assert 49 < account_file.AccountFile(path).read().pause_until - time.time() < 50


def test_a_process_stopped_while_it_holds_the_lock_stops_nobody_else(tmp_path):
    path = tmp_path / "state" / "a"
    file = account_file.AccountFile(path)
    holder = start(HOLDING, path)
    os.kill(holder.pid, signal.SIGSTOP)
    begin = time.monotonic()
    put(file, pause_until=50)
    assert time.monotonic() - begin < 1
    assert file.read().pause_until > time.time() + 49
    end(holder)


def test_a_pause_reaches_other_processes_with_their_next_look(tmp_path):
    one, other = (account_file.AccountFile(tmp_path / "state" / "a") for _ in "ab")
    for length in range(1, 200):  # faster than any clock of file times ticks
        put(one, pause_until=length)
        assert other.read() == one.read()
        assert other.read() is other.read()


@pytest.mark.parametrize("content", [b"", b"half", b"\0" * 68, b"x" * 4096, b"bakeoff1" + b"\xff" * 60])
def test_a_file_that_holds_no_record_is_begun_anew(tmp_path, content):
    path = tmp_path / "state" / "a"
    file = account_file.AccountFile(path)
    path.write_bytes(content)
    assert file.read() == pace.Record()
    put(file, pause_until=5)
    assert account_file.AccountFile(path).read().pause_until > time.time()


@pytest.mark.parametrize(
    "values", [{"written": 60}, {"pause_until": 3600}, {"requests_free": 3600}, {"tokens_free": float("nan")}]
)
def test_what_a_clock_that_jumped_left_behind_is_not_believed(tmp_path, values):
    path = tmp_path / "state" / "a"
    file = account_file.AccountFile(path)
    now = time.time()
    os.pwrite(file._fd, account_file._pack(pace.Record(**{k: now + v for k, v in values.items()})), 0)
    assert file.read() == pace.Record()
    put(file, pause_until=5)
    assert 4 < account_file.AccountFile(path).read().pause_until - now < 6


def test_a_file_that_was_tidied_away_is_made_anew_for_all(tmp_path):
    one, other = (account_file.AccountFile(tmp_path / "state" / "a") for _ in "ab")
    (tmp_path / "state" / "a").unlink()
    put(one, pause_until=5)
    put(other, requests_free=0)
    for file in (one, other, account_file.AccountFile(tmp_path / "state" / "a")):
        assert file.read().pause_until > time.time()


def test_folder_and_file_are_the_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "bakeoff").mkdir(mode=0o755)
    path = account_file.account_path("http://h/v1", "k")
    account_file.AccountFile(path)
    assert path.parent == tmp_path / "bakeoff"
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert account_file.account_path("http://h/v1", "k").parent == tmp_path / f"bakeoff-{os.getuid()}"


@pytest.mark.parametrize("trouble", ["a file", "a link", "a link at the end"])
def test_where_the_folder_cannot_be_used_the_limits_hold_within_the_process(tmp_path, capfd, trouble):
    folder, target = tmp_path / "state", tmp_path / "target"
    target.mkdir()
    if trouble == "a file":
        folder.write_text("")
    elif trouble == "a link":
        folder.symlink_to(target)
    else:
        account_file.AccountFile(folder / "x")
        account_file.account_path("http://h", "k", folder).symlink_to(target / "elsewhere")

    async def run():
        account = limits.open_account("http://h", "k", rpm=600, tpm=None, concurrency_max=4, folder=folder)
        begin = time.monotonic()
        for _ in range(5):
            async with account.slot(0) as slot:
                slot.ok()
        spaced_s = time.monotonic() - begin
        async with account.slot(0) as slot:
            slot.limited(5)
        return spaced_s, account.paused_s

    spaced_s, paused_s = asyncio.run(run())
    assert spaced_s > 0.15
    assert 4.9 < paused_s < 5.5
    assert list(target.iterdir()) == []
    message = capfd.readouterr().err
    assert message.count("cannot be used") == message.count("\n") == 1


def test_a_disk_that_gives_up_later_leaves_the_limits_of_this_process(tmp_path, capfd):
    file = account_file.AccountFile(tmp_path / "state" / "a")
    put(file, pause_until=5)
    os.close(file._fd)
    file._fd = os.open(file._path, os.O_RDONLY)  # what is read-only now fails at the next write
    put(file, requests_free=3)
    assert file.read().pause_until > time.time()
    assert capfd.readouterr().err.count("\n") == 1


def call(url, folder, rpm, minute_s, seconds):
    """Have two processes ask as much as they may; return what each of them tells."""
    words = [sys.executable, ROOT / "tests" / "limits_caller.py", url, folder, rpm, minute_s, seconds]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    callers = [subprocess.Popen(list(map(str, words)), **pipes) for _ in range(2)]
    for caller in callers:
        assert caller.stdout.readline() == "ready\n"
    with ThreadPoolExecutor() as pool:
        return [json.loads(out) for out, _ in pool.map(lambda caller: caller.communicate(), callers)]


def sent_in_pauses(told, after_s):
    """Count requests of any process in a pause of any other, from `after_s` after it was learnt."""
    sent = [at for caller in told for at in caller["sent"]]
    return sum(begin + after_s < at < until for c in told for begin, until in c["pauses"] for at in sent)


@pytest.mark.slow
@pytest.mark.parametrize("is_told", [True, False])
def test_two_processes_share_a_limit_that_a_server_keeps(tmp_path, is_told):
    """600 a minute in minutes of 6 seconds, so that the window passes twice."""
    with chat_server(rpm=60, minute_s=6, latency_ms=50, retry_form="ms") as server:
        told = call(server.url, tmp_path / "state", 60 if is_told else 0, 6, 12.5)
        [quota] = server.state()["quotas"].values()
    print({name: round(value, 3) for name, value in quota.items()}, [caller["ok"] for caller in told])
    assert quota["steady_share"] >= 0.8
    assert sent_in_pauses(told, 0.02) == 0
    assert quota["during_pause"] == 0
    assert quota["limited"] <= (1 if is_told else 80)
    if is_told:
        assert min(caller["ok"] for caller in told) > 40
