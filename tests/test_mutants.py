"""Known bugs can still be put back, and those that only a power cut or a race would show are noticed without one."""

import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.errors import DiskError
from orchestrator.files import replacing
from orchestrator.results import journal as journals
from orchestrator.results.journal import CellColumns, Journal
from orchestrator.running import supervise
from orchestrator.running.work import Work
from tests.faults.harness import read_final, set_manifest
from tests.faults.mutants import find_drift, read_mutants
from tests.workers import write_words

CELLS = [CellColumns("m1", "echo", "{}", "p1")]
ROW = {"cell": 0, "key": "0" * 64, "sample_id": "s", "repeat": 1, "status": "ok", "text": "x", "attempts": 1, "time": 1}
WORKER = Path(__file__).parent.parent / "orchestrator" / "worker.py"


@pytest.mark.parametrize("mutant", read_mutants(), ids=lambda mutant: mutant.name)
def test_a_mutant_can_still_be_made(mutant):
    assert find_drift(mutant) is None


def test_a_mutant_whose_text_is_gone_is_told(tmp_path):
    (mutant, *_) = read_mutants()
    (tmp_path / mutant.path).parent.mkdir(parents=True)
    (tmp_path / mutant.path).write_text("")
    assert "its text occurs 0 times" in find_drift(mutant, tmp_path)


@pytest.fixture
def synced(monkeypatch):
    """Return the inodes that are forced to the disk, in order."""
    inodes, fsync = [], os.fsync

    def note(descriptor):
        inodes.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return inodes


def test_a_new_journal_is_in_its_folder_for_good_before_a_row_is_taken(tmp_path, synced):
    with Journal(tmp_path, CELLS):
        assert tmp_path.stat().st_ino in synced


def test_a_replaced_file_and_its_name_are_on_the_disk_before_it_is_relied_on(tmp_path, synced):
    path = tmp_path / "file"
    with replacing(path) as temporary:
        temporary.write_text("x")
        inode = temporary.stat().st_ino
        assert synced == []
    assert synced == [inode, tmp_path.stat().st_ino]


def test_a_journal_never_has_the_name_of_one_that_was_compacted(tmp_path):
    names = set()
    for _ in range(3):
        with Journal(tmp_path, CELLS) as journal:
            names.add(journal.path.name)
        journal.path.unlink()
    assert len(names) == 3


def test_a_journal_is_never_one_that_is_there_already(tmp_path, monkeypatch):
    with Journal(tmp_path, CELLS) as first:
        whole = first.path.read_bytes()
    milliseconds, token = first.path.stem.split("-")
    monkeypatch.setattr(journals, "_next_ms", lambda _: milliseconds)
    monkeypatch.setattr(journals.secrets, "token_hex", lambda _: token)
    with pytest.raises(Exception, match="exists"), Journal(tmp_path, CELLS):
        pass
    assert first.path.read_bytes() == whole


@contextmanager
def full_disk():
    """Let no file grow beyond what it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_answer_that_could_not_be_written_does_not_count(tmp_path):
    with Journal(tmp_path, CELLS) as journal:
        work = Work(None, journal, tmp_path, 0, {}, lambda _: None)
        with pytest.raises(DiskError), full_disk():
            work.record([ROW])
        assert work.statuses == {}
        work.record([ROW])
        assert work.statuses == {"ok": 1}


def test_only_who_was_alone_when_a_worker_died_has_cost_it(workspace, monkeypatch, tmp_path):
    monkeypatch.setattr(supervise, "BACKOFF_S", (0.0,))
    write_words(workspace.root, ["w0", "w1", *(f"w{n};segv" if n == 5 else f"w{n}" for n in range(2, 10))])
    opened = set_manifest(workspace, "chaos", batch_max=4)
    outcome = api.run(models="chaos", dataset="words", workspace=opened, params={"oracle": str(tmp_path / "oracle")})
    crashes = {row["name"]: row["crashes"] for row in read_final(outcome.folder, "chaos") if row["crashes"]}
    assert crashes == {"w5": 2}


RACE = """
import importlib.util, os, sys, types
spec = importlib.util.spec_from_file_location("worker", sys.argv[1])
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
worker.threading.Thread = lambda **_: types.SimpleNamespace(start=lambda: None)  # which looks once a second
parents = iter([4711, 1])  # it dies while the signal is armed
worker.os.getppid = lambda: next(parents, 4711)
worker.leave = lambda: os._exit(7)
worker.watch_parent(4711)
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_a_parent_that_dies_before_the_death_signal_is_armed_is_noticed():
    completed = subprocess.run([sys.executable, "-c", RACE, str(WORKER)], check=False, timeout=20)
    assert completed.returncode == 7
