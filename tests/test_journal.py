"""A journal keeps every row whole or not at all, whatever tears or bends it."""

import errno
import hashlib
import json
import os
import resource
import tempfile
import time
import tracemalloc
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import BakeoffError, DiskError
from orchestrator.results import journal
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


@pytest.mark.slow
def test_a_tail_torn_at_any_byte_costs_that_row_alone(tmp_path):
    path = write(tmp_path, [row(number) for number in range(5)])
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start, len(whole) - 1):
        path.write_bytes(whole[:end])
        rows, damaged = read(path)
        assert [each["sample_id"] for each in rows] == ["s0", "s1", "s2", "s3"]
        assert damaged == (end > start)


def test_a_record_that_lacks_its_newline_alone_is_a_record(tmp_path):
    path = write(tmp_path, [row(number) for number in range(3)])
    whole = path.read_bytes()
    for last in (b"", b"\x0b"):
        path.write_bytes(whole[:-1] + last)
        rows, damaged = read(path)
        assert ([each["sample_id"] for each in rows], damaged) == (["s0", "s1", "s2"], 0)


def test_a_bent_newline_costs_neither_of_the_rows_beside_it(tmp_path):
    path = write(tmp_path, [row(number) for number in range(3)])
    whole = bytearray(path.read_bytes())
    places = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    for place in places:
        bent = bytearray(whole)
        bent[place] ^= 4
        path.write_bytes(bent)
        rows, damaged = read(path)
        assert ([each["sample_id"] for each in rows], damaged) == (["s0", "s1", "s2"], 0)


def test_a_line_torn_to_one_zero_is_damage(tmp_path):
    path = write(tmp_path, [row(0)])
    with path.open("ab") as file:
        file.write(b"0\n")
    rows, damaged = read(path)
    assert (len(rows), damaged) == (1, 1)


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


@pytest.mark.slow
def test_a_row_larger_than_a_block_is_read(tmp_path):
    rows, damaged = read(write(tmp_path, [row(0), row(1, text="ж" * 3_000_000), row(2)]))
    assert ([len(each["text"]) for each in rows][1], damaged) == (3_000_000, 0)
    assert len(rows) == 3


@pytest.mark.slow
def test_a_long_end_without_a_newline_is_dropped_as_it_is_read(tmp_path):
    path = write(tmp_path, [row(0)])
    os.truncate(path, path.stat().st_size + 200_000_000)
    tracemalloc.start()
    try:
        with JournalReader(path) as reader:
            assert sum(batch.num_rows for batch in reader.batches()) == 1
        assert tracemalloc.get_traced_memory()[1] < 80_000_000
    finally:
        tracemalloc.stop()
    assert (reader.damaged, reader.is_torn) == (1, True)


def test_no_record_is_too_long_and_what_is_none_ends_at_its_newline(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "BLOCK_BYTES", 100)
    monkeypatch.setattr(journal, "JUNK_BYTES", 1000)
    path = write(tmp_path, [row(0, text="a" * 20_000)])
    with path.open("ab") as file:
        file.write(bytes(50_000) + b"\n")
    path.write_bytes(path.read_bytes() + write(tmp_path, [row(1), row(2)]).read_bytes())
    rows, damaged = read(path)
    assert ([each["sample_id"] for each in rows], damaged) == (["s0", "s1", "s2"], 1)
    monkeypatch.setattr(journal, "LINE_BYTES", 10_000)
    rows, damaged = read(path)
    assert ([each["sample_id"] for each in rows], damaged) == (["s1", "s2"], 2)


def line_with_leading_zero():
    """Return a record whose checksum begins with 0, for which a sign or a blank would read the same."""
    bodies = (b'{"t":"result","key":"%d"}' % number for number in range(1000))
    return next(line for line in map(seal, bodies) if line[:1] == b"0" and line[:8].lower() != line[:8].upper())


@pytest.mark.parametrize("place", [0, 8])
@pytest.mark.parametrize("bent", [b"+", b"_", b" ", b"\t"])
def test_a_checksum_is_eight_hex_digits_and_a_blank(tmp_path, place, bent):
    line = line_with_leading_zero()
    for other in (line[:place] + bent + line[place + 1 :], line[:8].upper() + line[8:]):
        path = tmp_path / "1.jsonl"
        path.write_bytes(write(tmp_path / "whole", [row(0)]).read_bytes() + other)
        rows, damaged = read(path)
        assert (len(rows), damaged) == ((1, 1) if other != line else (2, 0))


def test_names_are_never_used_twice(tmp_path):
    paths = {write(tmp_path, []) for _ in range(50)}
    assert len(paths) == len(list(tmp_path.iterdir())) == 50


def test_journals_are_named_in_the_order_of_their_making_whatever_the_clock_does(tmp_path, monkeypatch):
    paths = []
    for now_s in (1_700_000_000, 1_600_000_000, 1_600_000_000, 1_700_000_001, 9):
        monkeypatch.setattr(time, "time_ns", lambda now_s=now_s: now_s * 1_000_000_000)
        paths.append(write(tmp_path, []))
    assert sorted(paths) == paths


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


@contextmanager
def room_for(size, path=None):
    """Let files grow to `size` bytes, or `path` by that many, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + (path.stat().st_size if path else 0), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_sentence_and_what_was_written_stays_without_a_torn_line(tmp_path):
    with Journal(tmp_path, CELLS) as journal:
        journal.append([row(number) for number in range(5)])
        for size in (0, 1, 100):
            with pytest.raises(DiskError, match="the disk is full; free some space"), room_for(size, journal.path):
                journal.append([row(9)])
        assert read(journal.path)[0][-1]["sample_id"] == "s4"
        journal.append([row(5)])
    rows, damaged = read(journal.path)
    assert (len(rows), damaged) == (6, 0)


def test_of_rows_that_the_disk_cut_short_the_whole_ones_stay(tmp_path):
    with Journal(tmp_path, CELLS) as journal:
        with pytest.raises(DiskError), room_for(700, journal.path):
            journal.append([row(number) for number in range(5)])
        journal.append([row(9)])
    rows, damaged = read(journal.path)
    assert ([each["sample_id"] for each in rows], damaged) == (["s0", "s1", "s9"], 0)


def test_a_torn_line_that_cannot_be_taken_back_costs_no_later_row(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with Journal(tmp_path, CELLS) as journal:
        journal.append([row(0)])
        monkeypatch.setattr(os, "ftruncate", fail)
        with pytest.raises(DiskError), room_for(100, journal.path):
            journal.append([row(1)])
        journal.append([row(2)])
        journal.append([row(3)])
    rows, damaged = read(journal.path)
    assert ([each["sample_id"] for each in rows], damaged) == (["s0", "s2", "s3"], 1)


def test_a_failing_disk_is_an_error_of_the_disk(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with Journal(tmp_path, CELLS) as journal:
        for number in range(2):  # the first is synced at once
            journal.append([row(number)])
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(DiskError, match=r"jsonl: cannot be written: Input/output error; look to the disk"):
            journal.sync()
        monkeypatch.undo()


@pytest.mark.parametrize("size", [0, 1, 300])
def test_a_journal_that_cannot_be_begun_leaves_no_file(tmp_path, size):
    with pytest.raises(DiskError, match="the disk is full"), room_for(size), Journal(tmp_path, CELLS):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_journal_is_not_begun_below_the_floor(tmp_path):
    match = r"new: its disk has \d+ MB free, and bakeoff stops below 1000000000000 MB; free some space"
    with pytest.raises(DiskError, match=match), Journal(tmp_path / "new", CELLS, 10**18):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_room_left_is_looked_at_once_a_second(tmp_path, monkeypatch):
    with Journal(tmp_path, CELLS) as journal:
        journal.append([row(0)])
        journal.floor_bytes = 1 << 60
        journal.sync_if_due()
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 2)
        journal.append([row(1)])
        with pytest.raises(DiskError, match="MB free"):
            journal.sync_if_due()
        journal.sync_if_due()
    assert len(read(journal.path)[0]) == 2


@contextmanager
def unprivileged():
    """Be a user who may not write everywhere, where the tests are run by root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        match = r"cannot be written: Permission denied; make it writable for you, or work in another folder"
        with unprivileged(), pytest.raises(DiskError, match=match), Journal(Path(folder) / "m", CELLS):
            pass


def seal(body):
    return b"%08x %b\n" % (zlib.crc32(body), body)


@pytest.mark.parametrize("version", [99, "2.0", None])
def test_a_journal_of_a_newer_bakeoff_is_refused_and_one_without_versions_is_read(tmp_path, version):
    path = write(tmp_path, [row(0)])
    opening, _, record = path.read_bytes().splitlines(keepends=True)
    body = json.loads(opening[9:])
    body["version"] = version
    path.write_bytes(seal(json.dumps(body, separators=(",", ":")).encode()) + record)
    with pytest.raises(BakeoffError, match=r"jsonl: was written by a newer bakeoff \(schema .*\); upgrade to read it"):
        read(path)
    del body["version"]
    path.write_bytes(seal(json.dumps(body, separators=(",", ":")).encode()) + record)
    assert len(read(path)[0]) == 1
