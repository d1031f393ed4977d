"""What is asked afresh leaves the view, is kept beside it, and is lost nowhere in between."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator.errors import BakeoffError
from orchestrator.results import keysets, view
from orchestrator.results.layout import predictions_path
from orchestrator.results.set_aside import set_aside
from orchestrator.results.view import compact
from tests.test_journal import key, row
from tests.test_view import lose_a_row, read, write, write_table

ROOT = Path(__file__).parent.parent


def keys(*numbers):
    return [keysets.from_texts([key(number)]) for number in numbers]


def aside(run):
    """Return the rows of every file of predictions set aside."""
    return [each for path in sorted((run / "old").glob("*")) for each in pq.read_table(path).to_pylist()]


def samples(rows):
    return [each["sample_id"] for each in rows]


def test_what_is_set_aside_is_kept_whole_and_the_rest_stays_as_it_was(tmp_path):
    write(tmp_path, *(row(number) for number in range(4)))
    compact(tmp_path, "m")
    write(tmp_path, *(row(number, crashes=1) for number in range(4, 7)))
    before = {each["key"]: each for each in read(tmp_path)}
    assert set_aside(tmp_path, "m", keys(1, 5, 99))[0] == 2
    assert samples(read(tmp_path)) == ["s0", "s2", "s3", "s4", "s6"]
    assert samples(aside(tmp_path)) == ["s1", "s5"]
    assert all(before[each["key"]] == each for each in (*read(tmp_path), *aside(tmp_path)))
    assert set_aside(tmp_path, "m", keys(6))[0] == 1
    assert sorted(samples(aside(tmp_path))) == ["s1", "s5", "s6"]


def test_everything_can_be_set_aside_and_asked_again(tmp_path):
    write(tmp_path, row(1), row(2))
    assert set_aside(tmp_path, "m", keys(1, 2))[0] == 2
    assert read(tmp_path) == []
    write(tmp_path, row(1, text="afresh"))
    compact(tmp_path, "m")
    assert [each["text"] for each in read(tmp_path)] == ["afresh"]


@pytest.mark.parametrize("asked", [keys(), keys(99)])
def test_where_nothing_matches_nothing_is_written(tmp_path, asked):
    assert set_aside(tmp_path, "m", asked)[0] == 0
    assert list(tmp_path.iterdir()) == []
    write(tmp_path, row(1))
    compact(tmp_path, "m")
    before = predictions_path(tmp_path, "m").stat().st_ino
    assert set_aside(tmp_path, "m", asked)[0] == 0
    assert predictions_path(tmp_path, "m").stat().st_ino == before
    assert not (tmp_path / "old").exists()


def test_the_view_keeps_its_rows_where_the_copy_is_not_what_was_written(tmp_path, monkeypatch):
    def write_badly(path, schema, batches):
        rows = write_table(path, schema, batches)
        pq.write_table(lose_a_row(pq.read_table(path)), path)
        return rows

    write(tmp_path, row(1), row(2))
    compact(tmp_path, "m")
    monkeypatch.setattr(view, "write_table", write_badly)
    with pytest.raises(BakeoffError, match="not what was written; the predictions are where they were"):
        set_aside(tmp_path, "m", keys(1))
    assert samples(read(tmp_path)) == ["s1", "s2"]
    assert list((tmp_path / "old").iterdir()) == []


# Forks before pyarrow has threads; a child dies just before its n-th file operation, the last one lives to the end.
KILLED = """
import os, sys, pandas  # or else each child imports it
from pathlib import Path
from orchestrator.results.set_aside import set_aside
from tests.test_set_aside import keys
def die_before(nth, run):
    left = nth
    def hook(event, args):
        nonlocal left
        if event in {"open", "os.mkdir", "os.rename", "os.remove"} and str(args[0]).startswith(run):
            left -= 1
            if left == 0:
                os._exit(9)
    return hook
os.fsync = lambda _: None  # a kill needs none
for nth, run in enumerate(sys.argv[1:], 1):
    if not os.fork():
        sys.addaudithook(die_before(nth, run))
        set_aside(Path(run), "m", keys(1, 3))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.slow
def test_a_kill_before_any_file_operation_loses_no_row(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    runs = [tmp_path / str(nth) for nth in range(28)]
    write(runs[0], row(1), row(2))
    compact(runs[0], "m")
    write(runs[0], row(3))
    for run in runs[1:]:
        shutil.copytree(runs[0], run)
    done = subprocess.run([sys.executable, "-c", KILLED, *runs], cwd=ROOT, capture_output=True, check=True)
    statuses = [int(line) for line in done.stdout.split()]
    assert statuses == sorted(statuses, reverse=True)
    assert {0, 9} == set(statuses)
    for run in runs:
        assert {*samples(read(run)), *samples(aside(run))} == {"s1", "s2", "s3"}
        set_aside(run, "m", keys(1, 3))
        assert samples(read(run)) == ["s2"]
        assert {*samples(aside(run))} == {"s1", "s3"}
