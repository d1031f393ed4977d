"""The predictions of a model are one table, while a run writes, after a crash, and after compaction."""

import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies

from orchestrator.errors import BakeoffError, DiskError
from orchestrator.results import journal, parquet, view
from orchestrator.results.journal import Journal, JournalReader
from orchestrator.results.layout import journal_folder, predictions_path, remove_leftovers, spill_folder
from orchestrator.results.parquet import ParquetReader, write_table
from orchestrator.results.schema import PREDICTIONS
from orchestrator.results.view import compact, read_predictions
from tests.test_journal import CELLS, key, room_for, row

ROOT = Path(__file__).parent.parent


def write(run, *rows):
    with Journal(journal_folder(run, "m"), CELLS) as journal:
        journal.append(list(rows))
    return journal.path


def read(run):
    return [each for batch in read_predictions(run, "m") for each in batch.to_pylist()]


def texts(run):
    return {each["sample_id"]: each["text"] for each in read(run)}


def test_nothing_there_is_no_rows(tmp_path):
    assert read(tmp_path) == []
    assert compact(tmp_path, "m").rows == 0
    assert not predictions_path(tmp_path, "m").exists()


def test_of_one_key_the_first_answer_counts(tmp_path):
    write(tmp_path, row(1, text="late", status="error"), row(1, text="first"), row(1, text="second"))
    write(tmp_path, row(1, text="third"), row(1, text=None, status="crashed"))
    assert texts(tmp_path) == {"s1": "first"}
    compact(tmp_path, "m")
    write(tmp_path, row(1, text="fourth"))
    assert texts(tmp_path) == {"s1": "first"}


def test_of_rows_that_are_no_answer_the_last_counts(tmp_path):
    write(tmp_path, row(1, status="timeout", attempts=1), row(1, status="crashed", attempts=2))
    compact(tmp_path, "m")
    write(tmp_path, row(1, status="error", attempts=3))
    assert [(each["status"], each["attempts"]) for each in read(tmp_path)] == [("error", 3)]


@pytest.mark.parametrize("status", ["bad_input", "quarantined"])
def test_an_answer_supersedes_a_final_row_that_is_none(tmp_path, status):
    write(tmp_path, row(1, text=None, status=status))
    compact(tmp_path, "m")
    write(tmp_path, row(1, text="asked again"), row(1, text=None, status="lost"))
    assert texts(tmp_path) == {"s1": "asked again"}


def winners(rows):
    """Return by key which of `rows` counts: the rule in as few words as there are."""
    found = {}
    for each in rows:
        if found.get(each["key"], ("", 0))[0] not in {"ok", "refused"}:
            found[each["key"]] = (each["status"], each["attempts"])
    return found


STATUSES = ("ok", "refused", "bad_input", "quarantined", "error", "timeout", "crashed", "lost", "cancelled")
EVENTS = strategies.lists(
    strategies.one_of(
        strategies.tuples(strategies.integers(0, 3), strategies.sampled_from(STATUSES)),
        strategies.sampled_from(["new journal", "compact", "compact and die"]),
    ),
    max_size=30,
)


def follow(run, events):
    """Write journals and compact as `events` say; return the rows written, in order."""
    rows, waiting = [], []
    for number, event in enumerate([*events, "new journal"]):
        if isinstance(event, tuple):
            waiting.append(row(event[0], status=event[1], attempts=number))
            continue
        rows += waiting
        path = write(run, *waiting)
        written, waiting = path.read_bytes(), []
        if event != "new journal":
            compact(run, "m")
        if event == "compact and die":
            path.write_bytes(written)
    return rows


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_the_rows_that_count_follow_the_rule_in_any_order_of_events(events):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        rows = follow(Path(folder), events)
        for _ in range(2):
            found = read(Path(folder))
            assert {each["key"]: (each["status"], each["attempts"]) for each in found} == winners(rows)
            assert len(found) == len(winners(rows))
            compact(Path(folder), "m")


def test_compaction_keeps_every_row_and_leaves_no_journal(tmp_path):
    write(tmp_path, *(row(number) for number in range(100)))
    before = read(tmp_path)
    compaction = compact(tmp_path, "m")
    assert (compaction.rows, compaction.damaged) == (100, 0)
    assert read(tmp_path) == before
    assert list(journal_folder(tmp_path, "m").iterdir()) == []
    assert pq.read_schema(predictions_path(tmp_path, "m")).remove_metadata() == PREDICTIONS


def test_compacting_again_changes_no_byte(tmp_path):
    write(tmp_path, row(1))
    compact(tmp_path, "m")
    content = predictions_path(tmp_path, "m").read_bytes()
    compact(tmp_path, "m")
    assert predictions_path(tmp_path, "m").read_bytes() == content


def test_compaction_that_died_before_deleting_journals_doubles_nothing(tmp_path):
    path = write(tmp_path, row(1), row(2))
    journal = path.read_bytes()
    compact(tmp_path, "m")
    path.write_bytes(journal)
    assert texts(tmp_path).keys() == {"s1", "s2"}
    assert len(read(tmp_path)) == 2
    assert compact(tmp_path, "m").rows == 2


def test_a_torn_line_is_counted_and_the_rest_is_kept(tmp_path):
    path = write(tmp_path, row(1), row(2))
    path.write_bytes(path.read_bytes()[:-5])
    compaction = compact(tmp_path, "m")
    assert (compaction.rows, compaction.damaged) == (1, 1)


def test_a_reader_that_opened_before_a_compaction_reads_on(tmp_path):
    write(tmp_path, *(row(number) for number in range(10)))
    compact(tmp_path, "m")
    write(tmp_path, *(row(number) for number in range(10, 20)))
    batches = read_predictions(tmp_path, "m")
    seen = next(batches).num_rows
    compact(tmp_path, "m")
    write(tmp_path, row(99))
    assert seen + sum(batch.num_rows for batch in batches) == 20


def test_the_columns_asked_for_come_in_that_order(tmp_path):
    write(tmp_path, row(1))
    for _ in range(2):
        (batch,) = read_predictions(tmp_path, "m", ("status", "key", "model"))
        assert batch.schema.names == ["status", "key", "model"]
        compact(tmp_path, "m")


def test_rows_come_out_in_the_order_they_came_in(tmp_path):
    order = [3, 1, 2, 7, 0]
    write(tmp_path, *(row(number) for number in order[:3]))
    compact(tmp_path, "m")
    write(tmp_path, *(row(number) for number in order[3:]))
    assert [each["sample_id"] for each in read(tmp_path)] == [f"s{number}" for number in order]


WRITING = """
import sys
from pathlib import Path
from orchestrator.results.journal import Journal
from orchestrator.results.layout import journal_folder
from orchestrator.results.view import compact
from tests.test_journal import CELLS, row
run, number = Path(sys.argv[1]), 0
while True:
    with Journal(journal_folder(run, "m"), CELLS) as journal:
        for _ in range(50):
            journal.append([row(number + i) for i in range(10)])
            number += 10
            print(number, flush=True)
    compact(run, "m")
"""


@pytest.mark.slow
def test_a_reader_sees_every_acknowledged_row_while_a_run_writes_and_compacts(tmp_path):
    argv = [sys.executable, "-c", WRITING, str(tmp_path)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as writer:
        try:
            acknowledged = 0
            while acknowledged < 2000:
                acknowledged = int(writer.stdout.readline())
                if acknowledged % 200 == 0:
                    keys = [each["key"] for each in read(tmp_path)]
                    assert len(keys) == len(set(keys))
                    assert {key(number) for number in range(acknowledged)} <= set(keys)
        finally:
            writer.kill()


@pytest.mark.slow
def test_a_killed_writer_loses_no_acknowledged_row(tmp_path):
    for _ in range(2):
        argv = [sys.executable, "-c", WRITING, str(tmp_path)]
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as writer:
            for _ in range(60):
                last = writer.stdout.readline()
            writer.kill()
            acknowledged = max(int(line) for line in (last, *writer.stdout))
        keys = [each["key"] for each in read(tmp_path)]
        assert len(keys) == len(set(keys))
        assert {key(number) for number in range(acknowledged)} <= set(keys)
    compact(tmp_path, "m")
    assert sorted(each["key"] for each in read(tmp_path)) == sorted(keys)


def test_a_view_that_cannot_be_read_is_named_and_journals_stay(tmp_path):
    path = write(tmp_path, row(1))
    predictions_path(tmp_path, "m").parent.mkdir()
    predictions_path(tmp_path, "m").write_bytes(b"PAR1 nonsense")
    with pytest.raises(BakeoffError, match=r"predictions/m\.parquet: is not a readable Parquet file"):
        compact(tmp_path, "m")
    assert path.exists()


def bend(path, column):
    """Flip a bit at the end of the first data of `column`."""
    chunk = pq.read_metadata(path).row_group(0).column(PREDICTIONS.get_field_index(column))
    content = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("column", ["key", "status", "text", "latency_s"])
def test_a_bent_page_is_named_with_what_to_do_and_journals_stay(tmp_path, column):
    write(tmp_path, *(row(number, latency_s=number / 3) for number in range(500)))
    compact(tmp_path, "m")
    bend(predictions_path(tmp_path, "m"), column)
    journal = write(tmp_path, row(501))
    for use in (read, lambda run: compact(run, "m")):
        with pytest.raises(
            BakeoffError,
            match=r"predictions/m\.parquet: is not a readable .*move it away and run again, what it answered",
        ):
            use(tmp_path)
    assert journal.exists()


def test_no_bent_bit_of_a_view_changes_a_row(tmp_path):
    """Its own checksums leave footer and page headers open, where a bit can empty a column without an error."""
    write(tmp_path, *(row(number) for number in range(20)))
    compact(tmp_path, "m")
    path, rows = predictions_path(tmp_path, "m"), read(tmp_path)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 17):
        bent = bytearray(whole)
        bent[place] ^= 1 << place % 8
        path.write_bytes(bent)
        try:
            assert read(tmp_path) == rows
        except BakeoffError:
            refused += 1
    assert refused > 0.95 * len(whole) / 17


def test_columns_that_are_not_asked_for_may_be_bent(tmp_path):
    write(tmp_path, row(1))
    compact(tmp_path, "m")
    bend(predictions_path(tmp_path, "m"), "text")
    assert [batch.num_rows for batch in read_predictions(tmp_path, "m", ["key", "status"])] == [1]


def test_a_view_from_before_a_column_was_added_is_read_and_compacted(tmp_path):
    write(tmp_path, row(1), row(2))
    compact(tmp_path, "m")
    path = predictions_path(tmp_path, "m")
    pq.write_table(pq.read_table(path).drop_columns(["info", "batch_size", "crashes", "losses"]), path)
    assert [(each["sample_id"], each["info"], each["batch_size"]) for each in read(tmp_path)] == [
        ("s1", None, None),
        ("s2", None, None),
    ]
    (batch,) = read_predictions(tmp_path, "m", ["info"])
    assert batch["info"].to_pylist() == [None, None]
    write(tmp_path, row(3, crashes=1, losses=2))
    assert compact(tmp_path, "m").rows == 3
    assert pq.read_schema(path).remove_metadata() == PREDICTIONS
    assert [(each["batch_size"], each["crashes"], each["losses"]) for each in read(tmp_path)] == [
        *[(None, None, None)] * 2,
        (1, 1, 2),
    ]


def test_a_file_without_keys_is_not_taken_for_an_old_view(tmp_path):
    path = predictions_path(tmp_path, "m")
    path.parent.mkdir()
    pq.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(BakeoffError, match=r"m\.parquet: has no column 'key'; move it away and run again"):
        read(tmp_path)


def lose_a_row(table):
    return table.slice(1)


def double_a_row(table):
    return pa.concat_tables([table.slice(0, 1), *[table.slice(n, 1) for n in (0, 2)]])


def lose_a_key(table):
    keys = pa.array([None, *table["key"].to_pylist()[1:]], pa.string())
    return table.set_column(0, "key", keys)


def lose_a_column(table):
    return table.drop_columns(["text"])


@pytest.mark.parametrize("fault", [lose_a_row, double_a_row, lose_a_key, lose_a_column])
def test_journals_stay_where_the_new_file_is_not_what_was_written(tmp_path, monkeypatch, fault):
    def write_badly(path, schema, batches):
        rows = write_table(path, schema, batches)
        pq.write_table(fault(pq.read_table(path)), path)
        return rows

    journal = write(tmp_path, row(1), row(2), row(3))
    monkeypatch.setattr(view, "write_table", write_badly)
    with pytest.raises(BakeoffError, match=r"m\.parquet: the rewritten file is not what was written; the journals are"):
        compact(tmp_path, "m")
    monkeypatch.undo()
    assert journal.exists()
    assert list((tmp_path / "predictions").iterdir()) == []
    assert compact(tmp_path, "m").rows == 3


def test_journals_stay_where_the_new_file_cannot_be_read_back(tmp_path, monkeypatch):
    def write_badly(path, schema, batches):
        rows = write_table(path, schema, batches)
        bend(path, "key")
        return rows

    journal = write(tmp_path, row(1))
    monkeypatch.setattr(view, "write_table", write_badly)
    with pytest.raises(BakeoffError, match=r"is not a readable Parquet file .*; the journals are kept"):
        compact(tmp_path, "m")
    assert journal.exists()


@pytest.mark.parametrize("size", [0, 1, 1000, 4000])
def test_a_compaction_on_a_full_disk_keeps_journals_and_view_and_leaves_nothing_else(tmp_path, size):
    write(tmp_path, *(row(number) for number in range(20)))
    compact(tmp_path, "m")
    before = predictions_path(tmp_path, "m").read_bytes()
    journal = write(tmp_path, *(row(number) for number in range(20, 40)))
    with pytest.raises(DiskError, match=r"m\.parquet: the disk is full; free some space"), room_for(size):
        compact(tmp_path, "m")
    assert journal.exists()
    assert [path.read_bytes() for path in (tmp_path / "predictions").iterdir()] == [before]
    assert compact(tmp_path, "m").rows == 40


def test_a_journal_of_a_newer_bakeoff_is_never_compacted_away(tmp_path, monkeypatch):
    write(tmp_path, row(1))
    compact(tmp_path, "m")
    before = predictions_path(tmp_path, "m").read_bytes()
    monkeypatch.setattr(journal, "SCHEMA_VERSION", 99)
    newer = write(tmp_path, row(2))
    monkeypatch.undo()
    content = newer.read_bytes()
    for use in (read, lambda run: compact(run, "m")):
        with pytest.raises(BakeoffError, match=r"was written by a newer bakeoff \(schema 99\)"):
            use(tmp_path)
    assert newer.read_bytes() == content
    assert predictions_path(tmp_path, "m").read_bytes() == before


def test_a_row_group_is_written_before_it_is_large(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1 << 20)
    monkeypatch.setattr(journal, "BLOCK_BYTES", 1 << 16)
    for start in (0, 40):
        write(tmp_path, *(row(number, text=f"{number:x}" * 100_000) for number in range(start, start + 40)))
        compact(tmp_path, "m")
        groups = pq.ParquetFile(predictions_path(tmp_path, "m")).metadata
        sizes = [
            sum(groups.row_group(n).column(c).total_uncompressed_size for c in range(23))
            for n in range(groups.num_row_groups)
        ]
        assert max(sizes) < 1.5 * (1 << 20)
    assert len(read(tmp_path)) == 80


def test_of_a_file_with_large_rows_few_are_read_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1 << 20)
    predictions_path(tmp_path, "m").parent.mkdir()
    rows = [{"key": key(number), "text": chr(65 + number) * 100_000, "status": "ok"} for number in range(40)]
    pq.write_table(pa.Table.from_pylist(rows, PREDICTIONS), predictions_path(tmp_path, "m"), use_dictionary=False)
    assert max(batch.num_rows for batch in read_predictions(tmp_path, "m")) <= 10
    assert sum(batch.num_rows for batch in read_predictions(tmp_path, "m", ["key"])) == 40


def test_a_group_that_ends_early_without_an_error_is_damage(tmp_path, monkeypatch):
    write(tmp_path, row(1), row(2))
    compact(tmp_path, "m")
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: iter([]))
    with pytest.raises(
        BakeoffError, match=r"m\.parquet: is not a readable .*only 0 of 2 rows of a group .*move it away"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (OSError(errno.ESTALE, "pyarrow's"), "cannot be read: Stale file handle; look to the disk and run again$"),
        (OSError(errno.EIO, "pyarrow's"), "cannot be read: Input/output error; look to the disk and run again$"),
        (PermissionError(errno.EACCES, "p"), "cannot be read: Permission denied; make it readable for you$"),
        (FileNotFoundError(errno.ENOENT, "p"), "is not there; run the same command again$"),
        (pa.lib.ArrowMemoryError("malloc"), "memory ran out while it was read; free some and run again$"),
    ],
)
def test_a_file_is_damaged_only_where_its_content_is(tmp_path, monkeypatch, error, match):
    def fail(*_, **__):
        raise error

    write(tmp_path, row(1))
    compact(tmp_path, "m")
    for target, name in ((pa, "OSFile"), (pq.ParquetFile, "iter_batches")):
        monkeypatch.setattr(target, name, fail)
        with pytest.raises(BakeoffError, match=rf"predictions/m\.parquet: {match}"):
            read(tmp_path)
        monkeypatch.undo()


def test_a_file_that_something_else_rewrote_is_read_and_known_to_have_no_seal(tmp_path):
    write(tmp_path, row(1))
    compact(tmp_path, "m")
    path = predictions_path(tmp_path, "m")
    for is_sealed in (True, False):
        with ParquetReader(path, PREDICTIONS) as reader:
            assert reader.is_sealed == is_sealed
            assert sum(batch.num_rows for batch in reader.batches()) == 1
        pq.write_table(pq.read_table(path), path)


def test_a_torn_end_is_told_apart_from_bent_lines(tmp_path):
    path = write(tmp_path, row(1), row(2), row(3))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    torn = compact(tmp_path, "m")
    assert (torn.damaged, torn.torn, torn.kept) == (1, 1, ())
    path.write_bytes(whole.replace(b'"s1"', b'"s9"')[:-5])
    both = compact(tmp_path, "m")
    assert (both.damaged, both.torn, len(both.kept)) == (2, 1, 1)


def test_a_bent_journal_that_lacks_its_last_newline_alone_is_kept(tmp_path):
    path = write(tmp_path, row(1), row(2), row(3))
    path.write_bytes(path.read_bytes().replace(b'"s1"', b'"s9"')[:-1])
    compaction = compact(tmp_path, "m")
    assert (compaction.damaged, compaction.torn) == (1, 0)
    assert compaction.kept == (path.with_suffix(".damaged"),)


@pytest.mark.parametrize(("name", "change"), [("unlink", lambda data: data), ("rename", lambda data: data[9:])])
def test_a_journal_that_cannot_be_put_away_is_one_sentence_and_doubles_nothing(tmp_path, monkeypatch, name, change):
    def fail(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    path = write(tmp_path, row(1))
    path.write_bytes(change(path.read_bytes()))
    monkeypatch.setattr(Path, name, fail)
    with pytest.raises(DiskError, match=r"jsonl: cannot be written: Operation not permitted; make it writable"):
        compact(tmp_path, "m")
    monkeypatch.undo()
    assert len(read(tmp_path)) == 1
    assert compact(tmp_path, "m").rows == 1


def test_a_folder_of_journals_that_cannot_be_synced_is_one_sentence(tmp_path, monkeypatch):
    def fail(path):
        raise OSError(errno.EIO, "Input/output error")

    write(tmp_path, row(1))
    monkeypatch.setattr(view, "sync_folder", fail)
    with pytest.raises(DiskError, match="journal/m: cannot be written: Input/output error; look to the disk"):
        compact(tmp_path, "m")


def test_leftovers_of_killed_processes_are_removed_and_nothing_else(tmp_path):
    write(tmp_path, row(1))
    compact(tmp_path, "m")
    write(tmp_path, row(2))
    spill_folder(tmp_path).mkdir()
    (tmp_path / "scores").mkdir()
    (tmp_path / ".notes.tmp").touch()
    kept = {path for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "predictions" / ".m.parquet.01234abc.tmp").touch()
    (spill_folder(tmp_path) / "1-abc.txt").touch()
    (spill_folder(tmp_path) / "folder").mkdir()
    (spill_folder(tmp_path) / "folder" / "x").touch()
    for name in (".run.json.01234abc.tmp", "scores/.m.parquet.01234abc.tmp"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - 7200,) * 2)
    remove_leftovers(tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == kept
    assert list(spill_folder(tmp_path).iterdir()) == []


def test_what_scoring_may_be_writing_just_now_is_no_leftover(tmp_path):
    (tmp_path / "scores").mkdir()
    path = tmp_path / "scores" / ".m.parquet.01234abc.tmp"
    path.touch()
    remove_leftovers(tmp_path)
    assert path.exists()


def test_a_run_without_folders_has_no_leftovers(tmp_path):
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_view_of_a_newer_bakeoff_is_refused(tmp_path):
    path = predictions_path(tmp_path, "m")
    path.parent.mkdir()
    pq.write_table(pa.table({"key": ["a"]}, pa.schema([("key", pa.string())], {"bakeoff_schema": "99"})), path)
    with pytest.raises(BakeoffError, match="was written by a newer bakeoff"):
        read(tmp_path)


def test_every_line_of_a_journal_is_checked_json(tmp_path):
    path = write(tmp_path, row(1))
    for line in path.read_bytes().splitlines():
        assert json.loads(line[9:])["t"] in {"open", "result"}
    with JournalReader(path) as reader:
        assert next(reader.batches()).schema == PREDICTIONS
