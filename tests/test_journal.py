"""A journal keeps every row whole or not at all, whatever tears or bends it."""

import hashlib
import os
import resource
import time

import pytest

from orchestrator.errors import BakeoffError, DiskError
from orchestrator.results.journal import CellColumns, Journal, JournalReader

CELLS = [CellColumns("m1", "echo", "{}", "p1"), CellColumns("m1", "echo", '{"t":1}', "p2")]


def key(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def row(number, **changes):
    return {
        "cell": number % 2,
        "key": key(number),
        "sample_id": f"s{number}",
        "repeat": 1,
        "status": "ok",
        "text": f"строка {number}\n\u2028\x00",
        "latency_s": 0.25,
        "batch_size": 1,
        "attempts": 1,
        "time": 1_700_000_000_000_000 + number,
        **changes,
    }


def write(folder, rows, cells=CELLS):
    with Journal(folder, cells) as journal:
        for each in rows:
            journal.append([each])
    return journal.path


def read(path):
    """Return the rows of a journal and the number of damaged lines."""
    with JournalReader(path) as reader:
        rows = [each for batch in reader.batches() for each in batch.to_pylist()]
        return rows, reader.damaged


def test_rows_come_out_as_they_went_in(tmp_path):
    rows, damaged = read(write(tmp_path, [row(0), row(1, text=None, status="error", error_kind="bug")]))
    assert damaged == 0
    assert [each["prompt_id"] for each in rows] == ["p1", "p2"]
    assert [each["params"] for each in rows] == ["{}", '{"t":1}']
    assert rows[0]["text"] == "строка 0\n\u2028\x00"
    assert (rows[1]["text"], rows[1]["status"], rows[1]["error_kind"]) == (None, "error", "bug")
    assert rows[0]["time"].timestamp() == 1_700_000_000
    assert rows[0]["input_tokens"] is None


def test_a_journal_without_rows_has_none(tmp_path):
    assert read(write(tmp_path, [])) == ([], 0)


def test_a_tail_torn_at_any_byte_costs_that_row_alone(tmp_path):
    path = write(tmp_path, [row(number) for number in range(5)])
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        rows, damaged = read(path)
        assert [each["sample_id"] for each in rows] == ["s0", "s1", "s2", "s3"]
        assert damaged == (end > start)


def test_a_flipped_bit_costs_that_row_alone(tmp_path):
    path = write(tmp_path, [row(number) for number in range(3)])
    whole = path.read_bytes()
    _, _, *lines = whole.split(b"\n")  # the opening record is there twice
    start = whole.index(lines[1])
    expected = {"s0", "s2"}
    for place in range(start, start + len(lines[1]), 3):
        bent = bytearray(whole)
        bent[place] ^= 1
        path.write_bytes(bent)
        rows, damaged = read(path)
        found = {each["sample_id"] for each in rows}
        assert found >= expected
        assert all(each["text"] == f"строка {each['sample_id'][1:]}\n\u2028\x00" for each in rows)
        assert damaged >= (found == expected)


def test_zeros_at_the_end_are_damage_and_no_rows(tmp_path):
    path = write(tmp_path, [row(0)])
    with path.open("ab") as file:
        file.write(bytes(4096))
    rows, damaged = read(path)
    assert (len(rows), damaged) == (1, 1)


def test_a_row_larger_than_a_block_is_read(tmp_path):
    rows, damaged = read(write(tmp_path, [row(0), row(1, text="ж" * 3_000_000), row(2)]))
    assert ([len(each["text"]) for each in rows][1], damaged) == (3_000_000, 0)
    assert len(rows) == 3


def test_names_are_never_used_twice(tmp_path):
    paths = {write(tmp_path, []) for _ in range(50)}
    assert len(paths) == len(list(tmp_path.iterdir())) == 50


def test_a_reader_sees_the_journal_as_long_as_it_was_when_opened(tmp_path):
    with Journal(tmp_path, CELLS) as journal:
        journal.append([row(0)])
        with JournalReader(journal.path) as reader:
            journal.append([row(1)])
            journal.path.unlink()
            for _ in range(2):
                assert sum(batch.num_rows for batch in reader.batches()) == 1


def test_an_appended_row_is_with_the_system_at_once(tmp_path):
    with Journal(tmp_path, CELLS) as journal:
        journal.append([row(0)])
        assert len(read(journal.path)[0]) == 1


def test_rows_are_forced_to_the_disk_once_a_second(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with Journal(tmp_path, CELLS) as journal:
        synced.clear()
        journal.append([row(0)])
        journal.append([row(1)])
        assert len(synced) <= 1
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 2)
        journal.append([row(2)])
        assert synced


def test_who_waits_for_a_slow_answer_can_force_earlier_rows_to_the_disk(tmp_path, monkeypatch):
    synced = []
    with Journal(tmp_path, CELLS) as journal:
        journal.append([row(0)])
        monkeypatch.setattr(os, "fsync", synced.append)
        start = time.monotonic()
        journal.sync_if_due()
        assert not synced
        for later in (2, 4, 6):
            monkeypatch.setattr(time, "monotonic", lambda now=start + later: now)
            journal.sync_if_due()
        assert len(synced) == 1


def test_a_journal_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(BakeoffError, match=r"folder\.jsonl: cannot be read: Is a directory"):
        read(tmp_path / "folder.jsonl")


def append_with_room_for(journal, size, rows):
    """Append where a file may grow by `size` bytes only, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + size, hard))
    try:
        journal.append(rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_sentence_and_what_was_written_stays(tmp_path):
    with Journal(tmp_path, CELLS) as journal:
        journal.append([row(number) for number in range(5)])
        with pytest.raises(DiskError, match="the disk is full; free some space"):
            append_with_room_for(journal, 100, [row(9)])
    rows, damaged = read(journal.path)
    assert (len(rows), damaged) == (5, 1)
