"""Fill disks up, tear journals and flip bits: what was written is read as it was, or missed aloud."""

import random
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.errors import BakeoffError
from orchestrator.results.journal import Journal, JournalReader
from orchestrator.results.layout import journal_folder, predictions_path
from orchestrator.results.view import compact, read_predictions
from tests.faults.full_disk import fill_up, tear_run
from tests.faults.harness import Trial, Verdict, trial
from tests.faults.scenes import prepare_env
from tests.test_journal import CELLS, key, row

ROWS = 60
TEAR_EVERY_BYTES = 7
TAIL_BYTES_A_COUNT = 38  # 1,520 bytes of tail where 40 are counted
FLIPS_A_COUNT = 25
RUNS_TORN_EVERY = 8
WORDS = ("", "plain", "ж" * 40, "\x00\u2028\U0001f4a9", '{"t":"result",', "00000000 {")

Rows = dict[str, dict[str, Any]]


def run(seed: int, count: int, folder: Path) -> Verdict:
    """Try `count` sizes of a disk, every 7th byte of a torn tail and 25 times `count` flipped bits."""
    chance = random.Random(f"disk-{seed}")
    figures: Counter[str] = Counter()
    envs = prepare_env(folder)
    defects = fill_up(chance, count, folder, envs, figures)
    for number in range(max(1, count // RUNS_TORN_EVERY)):
        with trial(folder, f"torn-run-{number}") as found:
            tear_run(found, envs, chance, figures)
        defects += found.defects
    for name, play, times in (
        ("torn", _tear, TAIL_BYTES_A_COUNT * count),
        ("bent-journal", _bend_journal, FLIPS_A_COUNT * count // 2),
        ("bent-view", _bend_view, FLIPS_A_COUNT * count - FLIPS_A_COUNT * count // 2),
    ):
        with trial(folder, name) as found:
            play(found, chance, times, figures)
        defects += found.defects
    return Verdict("disk", seed, count, dict(sorted(figures.items())), tuple(defects))


def _write(run: Path, numbers: range, chance: random.Random) -> Path:
    with Journal(journal_folder(run, "m"), CELLS, floor_bytes=0) as journal:
        for number in numbers:
            journal.append([row(number, text=chance.choice(WORDS) * chance.randint(1, 3), crashes=number % 3)])
    return journal.path


def _read(run: Path) -> Rows:
    return {each["key"]: each for batch in read_predictions(run, "m") for each in batch.to_pylist()}


def _read_journal(path: Path) -> tuple[Rows, int]:
    with JournalReader(path) as reader:
        rows = {each["key"]: each for batch in reader.batches() for each in batch.to_pylist()}
        return rows, reader.damaged


def _tear(found: Trial, chance: random.Random, tail: int, figures: Counter[str]) -> None:
    """Cut a journal at every 7th byte of its tail: all older records are read and kept, the cut ones are missing."""
    run = found.folder / "run"
    path = _write(run, range(ROWS), chance)
    content, whole = path.read_bytes(), _read_journal(path)[0]
    for end in range(len(content) - 1, max(len(content) - tail, 0), -TEAR_EVERY_BYTES):
        path.write_bytes(content[:end])
        older = {key(number) for number in range(content[: end + 1].count(b"\n") - 2)}  # two lines open the journal
        rows, damaged = _read_journal(path)
        compaction = compact(run, "m")
        is_right = rows == {each: whole[each] for each in older} == _read(run)
        found.expect(that=is_right, otherwise=f"cut at {end}: other rows than those before the cut")
        found.expect(that=damaged == compaction.damaged <= 1, otherwise=f"cut at {end}: {damaged} damaged")
        _write(run, range(len(older), ROWS), chance)  # what is missing is asked again
        compact(run, "m")
        found.expect(that=set(_read(run)) == set(whole), otherwise=f"cut at {end}: not whole after the missing came")
        predictions_path(run, "m").unlink()
        figures["torn_tails"] += 1
        figures["torn_tails_damaged"] += damaged
        figures["torn_older_rows_lost"] += len(older - set(rows))


def _bend_journal(found: Trial, chance: random.Random, times: int, figures: Counter[str]) -> None:
    """Flip a bit of a journal: at most the bent record is missed, and then it is counted and the journal kept."""
    run = found.folder / "run"
    path = _write(run, range(ROWS), chance)
    content, whole = path.read_bytes(), _read_journal(path)[0]
    for _ in range(times):
        place, bit = chance.randrange(len(content)), chance.randrange(8)
        path.write_bytes(_bent(content, place, bit))
        rows, damaged = _read_journal(path)
        where = f"journal, bit {bit} of byte {place}"
        missed = set(whole) - set(rows)
        is_right = all(whole.get(each) == rows[each] for each in rows)
        found.expect(that=is_right, otherwise=f"{where}: a wrong row")
        found.expect(that=len(missed) <= 1, otherwise=f"{where}: more than the bent record is missed")
        found.expect(that=bool(damaged) or not missed, otherwise=f"{where}: a row is missed in silence")
        kept = compact(run, "m").kept
        found.expect(that=_read(run) == rows, otherwise=f"{where}: other rows after compaction")
        is_tail = place >= content.rindex(b"\n", 0, -1)
        found.expect(that=bool(kept) or not damaged or is_tail, otherwise=f"{where}: the bent journal was not kept")
        predictions_path(run, "m").unlink()
        for each in kept:
            each.unlink()
        figures["flips_in_journals"] += 1
        figures["flips_in_journals_detected" if damaged else "flips_in_journals_harmless"] += 1
        figures["wrong_rows"] += not is_right


def _bend_view(found: Trial, chance: random.Random, times: int, figures: Counter[str]) -> None:
    """Flip a bit of a view: it is refused, kept as it is and beside its journal, or every row is as it was."""
    run = found.folder / "run"
    _write(run, range(ROWS), chance)
    compact(run, "m")
    path, whole = predictions_path(run, "m"), _read(run)
    content = path.read_bytes()
    journal = _write(run, range(ROWS, ROWS + 2), chance)
    both, written = _read(run), journal.read_bytes()
    for _ in range(times):
        place, bit = chance.randrange(len(content)), chance.randrange(8)
        bent = _bent(content, place, bit)
        where = f"view, bit {bit} of byte {place}"
        path.write_bytes(bent)
        journal.write_bytes(written)
        figures["flips_in_views"] += 1
        rows: Rows | None = None
        with suppress(BakeoffError):
            rows = _read(run)
        figures["flips_in_views_harmless" if rows is not None else "flips_in_views_refused"] += 1
        is_right = rows is None or rows == both
        figures["wrong_rows"] += not is_right
        found.expect(that=is_right, otherwise=f"{where}: a wrong row, or one is missed in silence")
        try:
            compact(run, "m")
        except BakeoffError:
            is_kept = path.read_bytes() == bent and journal.read_bytes() == written
            found.expect(that=is_kept, otherwise=f"{where}: the bent view or the journal was changed")
        else:
            found.expect(that=_read(run) == both, otherwise=f"{where}: compacted to other rows")
    found.expect(that=len(both) == len(whole) + 2, otherwise="the journal beside the view was not read")


def _bent(content: bytes, place: int, bit: int) -> bytes:
    bent = bytearray(content)
    bent[place] ^= 1 << bit
    return bytes(bent)
