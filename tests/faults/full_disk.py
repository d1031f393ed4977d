"""Fill the disk up at many sizes: a run stops with one sentence, and the same command goes on from there."""

import json
import random
import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from orchestrator.config import Workspace
from orchestrator.errors import DiskError
from orchestrator.results.journal import Journal
from orchestrator.results.layout import journal_folder, predictions_path
from orchestrator.results.view import compact, read_predictions
from tests.faults.harness import DATASET, ROOT, Trial, read_oracle, read_rows, trial, workspace_at
from tests.faults.ledger import check_complete
from tests.faults.scenes import FINISH_S
from tests.test_journal import CELLS, row

DISK = 12
SAMPLES = 60
ROWS, ROWS_BEFORE = 40, 15
REAL_EVERY = 4
# The worker shares our disk but not our limit: what is to fail is what bakeoff writes.
UNLIMITED = ["sh", "-c", 'ulimit -S -f unlimited; exec "$@"', "sh"]


def fill_up(chance: random.Random, count: int, folder: Path, envs: Path, figures: Counter[str]) -> list[str]:
    """Write and compact with room for files of `count` sizes; every fourth time that is a whole run."""
    defects: list[str] = []
    for number in range(count):
        share = 0.0 if number < 2 else number / count  # the first of each kind has room for one byte
        is_real = number % REAL_EVERY == 0
        with trial(folder, f"full-{number}") as found:
            play = _fill_run if is_real else _fill_journal
            play(found, envs, chance, share, figures)
        defects += found.defects
    return defects


@contextmanager
def _room_for(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _write(run: Path, numbers: list[int], acked: set[str]) -> int:
    """Write a journal and compact it; return the size of the larger file."""
    with Journal(journal_folder(run, "m"), CELLS, floor_bytes=0) as journal:
        for number in numbers:
            journal.append([row(number)])
            acked.add(f"s{number}")
    size = journal.path.stat().st_size
    compact(run, "m")
    return max(size, predictions_path(run, "m").stat().st_size)


def _samples(run: Path) -> list[str]:
    return [each for batch in read_predictions(run, "m", ["sample_id"]) for each in batch["sample_id"].to_pylist()]


def _fill_journal(found: Trial, _envs: Path, _chance: random.Random, share: float, figures: Counter[str]) -> None:
    largest = _write(found.folder / "whole", list(range(ROWS)), set())
    run, acked = found.folder / "run", set[str]()
    _write(run, list(range(ROWS_BEFORE)), acked)
    before = predictions_path(run, "m").read_bytes()
    is_full = False
    with _room_for(max(1, int(share * largest))):
        try:
            _write(run, list(range(ROWS_BEFORE, ROWS)), acked)
        except DiskError:
            is_full = True
    figures["full_disk_writers"] += 1
    figures["full_disk_writers_stopped"] += is_full
    if is_full:
        is_same = predictions_path(run, "m").read_bytes() == before
        found.expect(that=is_same, otherwise="the view changed though the disk was full")
    _expect_no_scraps(found, run)
    there = _samples(run)
    lost = acked - set(there)
    figures["full_disk_rows_acknowledged"] += len(acked)
    figures["full_disk_rows_lost"] += len(lost)
    found.expect(that=not lost, otherwise=f"acknowledged rows are lost: {sorted(lost)}")
    _write(run, [number for number in range(ROWS) if f"s{number}" not in there], acked)
    found.expect(
        that=sorted(_samples(run)) == sorted(f"s{number}" for number in range(ROWS)), otherwise="rows differ at the end"
    )


def _expect_no_scraps(found: Trial, run: Path) -> None:
    scraps = [*run.rglob("*.tmp"), *run.rglob("*.damaged")]
    found.expect(that=not scraps, otherwise=f"the full disk left {scraps}")


class _Ended(NamedTuple):
    status: int
    told: str
    written: set[str]
    errors: list[str]


def run_with_room(workspace: Workspace, oracle: Path, size: int | None, die_after: int | None = None) -> _Ended:
    """Run the chaos model over all samples where no file may grow beyond `size` bytes.

    With `die_after` the process kills itself when it has written down so many answers.
    """

    def limit() -> None:
        if size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    order = {
        "models": ["chaos"],
        "dataset": DATASET,
        "workspace": str(workspace.root),
        "params": {"oracle": str(oracle)},
    }
    done = subprocess.run(
        [sys.executable, "-B", "-m", "tests.faults.disk_driver", json.dumps(order), str(die_after or 0)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=FINISH_S,
        preexec_fn=limit,
        check=False,
    )
    written, errors = set[str](), list[str]()
    for line in done.stdout.splitlines():
        event = json.loads(line)
        written.update(event.get("keys", ()))
        errors += filter(None, event.get("errors", ()))
    return _Ended(done.returncode, done.stderr, written, errors)


@dataclass(frozen=True, slots=True)
class _Scene:
    found: Trial
    workspace: Workspace
    names: set[str]

    @property
    def run(self) -> Path:
        return self.workspace.results / DATASET

    @property
    def oracle(self) -> Path:
        return self.found.folder / "oracle"


def _set_scene(found: Trial, envs: Path) -> _Scene:
    names = {f"w{number}" for number in range(SAMPLES)}
    workspace = workspace_at(found.folder / "workspace", envs, sorted(names))
    with (workspace.root / "bakeoff.toml").open("a") as file:
        file.write(f"[settings]\nlauncher = {json.dumps(UNLIMITED)}\n")
    return _Scene(found, workspace, names)


def _fill_run(found: Trial, envs: Path, _chance: random.Random, share: float, figures: Counter[str]) -> None:
    scene = _set_scene(found, envs)
    size = max(1, int(share * 32_000))  # a journal of so many rows has about 30,000 bytes
    ended = run_with_room(scene.workspace, scene.oracle, size)
    figures["full_disk_runs"] += 1
    figures["full_disk_runs_stopped"] += ended.status == DISK
    is_clean = ended.status in {0, DISK} and "Traceback" not in ended.told and not ended.errors
    found.expect(that=is_clean, otherwise=f"room for {size}: status {ended.status}: {ended.told} {ended.errors}")
    _expect_no_scraps(found, scene.run)
    _go_on(scene, ended, set(), figures)


def tear_run(found: Trial, envs: Path, chance: random.Random, figures: Counter[str]) -> None:
    """Kill a run, tear its journal, let it end, bend its view: only what was torn off is asked again."""
    scene = _set_scene(found, envs)
    ended = run_with_room(scene.workspace, scene.oracle, None, die_after=chance.randint(5, SAMPLES - 5))
    found.expect(that=ended.status == -signal.SIGKILL, otherwise=f"it was to be killed: status {ended.status}")
    cut = _cut_tail(scene.run, chance)
    figures["torn_runs"] += 1
    figures["torn_runs_answers_torn_off"] += len(cut)
    _go_on(scene, ended, cut, figures)
    _bend_view(found, scene.workspace, scene.oracle, chance)


def _go_on(scene: _Scene, ended: _Ended, cut: set[str], figures: Counter[str]) -> None:
    """Give the same command again: it asks what is missing, and nothing that was written down and not `cut` off."""
    found = scene.found
    done = {each["name"]: each["key"] for each in _answers(scene.run)}
    lost = ended.written - set(done.values()) - cut
    figures["runs_answers_acknowledged"] += len(ended.written)
    figures["runs_answers_lost"] += len(lost)
    found.expect(that=not lost, otherwise=f"acknowledged answers are lost: {sorted(lost)}")
    asked = len(read_oracle(scene.oracle))
    again = run_with_room(scene.workspace, scene.oracle, None)
    is_well = again.status == 0 and not again.errors
    found.expect(that=is_well, otherwise=f"the same command: status {again.status}: {again.told} {again.errors}")
    repeated = {each.name for each in read_oracle(scene.oracle)[asked:]} & set(done)
    figures["runs_answers_asked_again"] += len(repeated)
    found.expect(that=not repeated, otherwise=f"asked again: {sorted(repeated)}")
    check_complete(found, "chaos", read_rows(scene.run, "chaos"), scene.names, set())


def _answers(run: Path) -> list[dict[str, str]]:
    with suppress(FileNotFoundError):  # the disk was full before there were samples
        return [each for each in read_rows(run, "chaos") if each["status"] == "ok"]
    return []


def _cut_tail(run: Path, chance: random.Random) -> set[str]:
    """Tear some bytes off the journal that is left; return the keys of the answers that went with them."""
    (path,) = journal_folder(run, "chaos").glob("*.jsonl")
    before = {each["key"] for each in _answers(run)}
    path.write_bytes(path.read_bytes()[: -chance.randint(2, 900)])
    return before - {each["key"] for each in _answers(run)}


def _bend_view(found: Trial, workspace: Workspace, oracle: Path, chance: random.Random) -> None:
    """Flip a bit of the finished view: the same command refuses it in a sentence, asks nothing and leaves it alone."""
    view = predictions_path(workspace.results / DATASET, "chaos")
    content = bytearray(view.read_bytes())
    content[-chance.randint(9, 2000)] ^= 1 << chance.randrange(8)  # in the footer, which every reader needs
    view.write_bytes(content)
    asked = len(read_oracle(oracle))
    ended = run_with_room(workspace, oracle, None)
    is_told = len(ended.errors) == 1 and "is not a readable Parquet file" in ended.errors[0]
    found.expect(that=is_told, otherwise=f"a bent view: status {ended.status}: {ended.told} {ended.errors}")
    is_left = view.read_bytes() == content and len(read_oracle(oracle)) == asked
    found.expect(that=is_left, otherwise="a bent view was replaced, or its answers were asked again")
