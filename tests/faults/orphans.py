"""Kill orchestrators whose workers are busy, and look for processes that are left.

`run` starts drivers, each a process with one worker, in which this module's `drive` plays the orchestrator.
"""

import itertools
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import open_workspace
from orchestrator.session import Ready, Session
from tests.faults.harness import ROOT, Trial, Verdict, trial, workspace_at
from tests.workers import spec_of

LIMIT_S = 3.0
READY_S = 60.0
SIDE_BY_SIDE = 3
MARK = "BAKEOFF_TRIAL"

# How the worker is busy, and how many processes there are then besides driver, worker and what guards its group.
WAYS = {
    "sleep": 0,
    "gil": 0,
    "deaf gil": 0,
    "stopped": 0,
    "helper": 1,
    "helper gil": 1,
    "stubborn": 1,
    "nameless": 1,
    "daemon": 1,
    "daemon gil": 1,
    "daemon stopped": 1,
    "daemon helper stubborn nameless deaf": 4,
    "breeding": 0,
    "starting": None,  # killed at a random moment of the worker's first third of a second
}
BLOWS = ("kill", "terminate", "stop and kill", "exit")


@dataclass(frozen=True, slots=True)
class Scene:
    """What a trial is: how its worker is busy, while loading or answering, how its parent ends, and how much later."""

    how: str
    when: str
    blow: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a trial: how many processes there were, how long the last of them lived, how many were left."""

    seen: int
    gone_s: float
    left: int


def plan_scenes(seed: int, count: int) -> list[Scene]:
    """Return `count` scenes at random; each way to be busy and to end comes once before any comes again."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        pairs = list(itertools.product(WAYS, BLOWS))
        rng.shuffle(pairs)
        for how, blow in pairs:
            when = rng.choice(("answering", "answering", "loading"))
            scenes.append(Scene(how, when, blow, rng.uniform(0, 0.3 if how == "starting" else 0.05)))
    return scenes[:count]


def run(seed: int, count: int, folder: Path) -> Verdict:
    """Carry out `count` trials, a few side by side."""
    if sys.platform != "linux":
        return Verdict("orphans", seed, 0, {"skipped": "processes are told apart by /proc, which only Linux has"}, ())
    workspace = workspace_at(folder / "workspace", folder / "envs", ["one"]).root
    scenes = enumerate(plan_scenes(seed, count))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        found = list(pool.map(lambda each: _carry_out(workspace, folder, *each), scenes))
    outcomes = [outcome for outcome, _ in found if outcome]
    figures: dict[str, int | float | str] = {
        "trials": len(outcomes),
        "processes seen": sum(outcome.seen for outcome in outcomes),
        "processes left": sum(outcome.left for outcome in outcomes),
        "longest time until gone (s)": round(max((outcome.gone_s for outcome in outcomes), default=0), 3),
    }
    return Verdict("orphans", seed, count, figures, tuple(defect for _, defects in found for defect in defects))


def _carry_out(workspace: Path, folder: Path, number: int, scene: Scene) -> tuple[Outcome | None, list[str]]:
    with trial(folder, number) as found:
        outcome = _perform(workspace, found, scene)
    return outcome, found.defects


def _perform(workspace: Path, found: Trial, scene: Scene) -> Outcome | None:
    """Bring a driver to its scene, end it, and wait for all that it started to be gone."""
    mark, ready = secrets.token_hex(16), found.folder / "ready"
    order = json.dumps([str(workspace), str(found.folder), scene.how, scene.when])
    with (found.folder / "stderr").open("wb") as err:
        driver = subprocess.Popen(
            [sys.executable, "-c", "from tests.faults.orphans import drive; drive()", order],
            cwd=ROOT,
            env={**os.environ, MARK: mark},
            stdin=subprocess.PIPE,
            stderr=err,
            start_new_session=True,
        )
    try:
        if not _wait_for(ready.exists, READY_S):
            found.expect(that=False, otherwise=f"{scene}: the worker never came to it")
            return None
        time.sleep(scene.delay_s)
        return _end(driver, mark, found, scene)
    finally:
        driver.kill()
        for pid, _ in _living(mark, set()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        driver.communicate()


def _end(driver: subprocess.Popen[bytes], mark: str, found: Trial, scene: Scene) -> Outcome:
    before = _living(mark, set())
    sessions = {session for _, session in before}
    before = _living(mark, sessions)
    others = WAYS[scene.how]
    if others is not None:
        found.expect(that=len(before) >= 3 + others, otherwise=f"{scene}: only {len(before)} processes were there")
    start = time.monotonic()
    _strike(driver, scene.blow)
    _wait_for(lambda: not _living(mark, sessions), LIMIT_S)
    gone_s = time.monotonic() - start
    left = _living(mark, sessions)
    found.expect(that=not left, otherwise=f"{scene}: after {gone_s:.1f} s there are left {_names(left)}")
    return Outcome(len(before), gone_s, len(left))


def _strike(driver: subprocess.Popen[bytes], blow: str) -> None:
    if blow == "terminate":
        driver.terminate()
    elif blow == "exit":
        assert driver.stdin is not None
        driver.stdin.close()
    else:
        if blow == "stop and kill":
            driver.send_signal(signal.SIGSTOP)
        driver.kill()


def _wait_for(is_so: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _living(mark: str, sessions: set[int]) -> list[tuple[int, int]]:
    """Return pid and session of each process that lives and carries `mark` or is in one of `sessions`."""
    return [each for each in _processes(f"{MARK}={mark}".encode(), sessions) if each[1] != os.getsid(0)]


def _processes(mark: bytes, sessions: set[int]) -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").glob("[1-9]*"):
        try:
            state, _, _, session = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:4]
            if state not in "ZX" and (int(session) in sessions or mark in (folder / "environ").read_bytes()):
                yield int(folder.name), int(session)
        except OSError:  # it has ended, or is another user's
            continue


def _names(processes: list[tuple[int, int]]) -> str:
    names = []
    for pid, _ in processes:
        try:
            names.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:60])
        except OSError:
            names.append("one that ended just now")
    return f"{len(processes)}: {'; '.join(names)}"


def drive() -> None:
    """Play the orchestrator of one worker until killed, or until the input ends."""
    workspace, folder, how, when = json.loads(sys.argv[1])
    threading.Thread(target=_exit_at_eof, daemon=True).start()
    ready = Path(folder, "ready")
    params = {"how": how, "when": when, "ready": str(ready)}
    spec = spec_of(open_workspace(Path(workspace)), "orphaning", params, log=Path(folder, "worker.log"))
    if how == "starting":
        ready.touch()
    with Session(spec) as session:
        while not session.is_gone:
            for event in session.poll(0.1):
                if isinstance(event, Ready):
                    session.send({"type": "request", "id": "1", "prompt": "one"})


def _exit_at_eof() -> None:
    sys.stdin.buffer.read()
    os._exit(7)
