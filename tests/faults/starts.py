"""Start several orchestrators on one run: exactly one works, the others say at once which process does."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import Workspace
from tests.faults.harness import (
    DATASET,
    ROOT,
    Elsewhere,
    Trial,
    Verdict,
    read_final,
    read_oracle,
    running_elsewhere,
    trial,
    workspace_at,
)
from tests.faults.ledger import Ledger, check_complete
from tests.faults.scenes import AT_ONCE, FINISH_S, count_lines, prepare_env, wait_for

LOCKED = 11
REFUSED_S = 2.0  # within which a second one gives up, its imports not counted
COMMAND_REFUSED_S = 15.0  # within which one does whose imports cannot be told apart, on a busy machine
UNSEEN_MAX = 8  # answers of 20 ms each that a killed holder had not written down yet
HOLD_S = 1.2  # that a holder has work for when the others come
GATE_S = 1.0  # until those that start together have imported all they need
KINDS = ("together", "stopped", "killed")


@dataclass(frozen=True, slots=True)
class Scene:
    """One run on which several orchestrators start."""

    trial: Trial
    workspace: Workspace
    names: set[str]
    ledger: Ledger
    import_s: float

    @property
    def run(self) -> Path:
        return self.workspace.results / DATASET

    @property
    def oracle(self) -> Path:
        return self.trial.folder / "oracle"

    @property
    def params(self) -> dict[str, str]:
        return {"oracle": str(self.oracle)}


@dataclass(slots=True)
class Starter:
    """One orchestrator; times are of `time.time`, `allowed_s` is what it may take to find the run taken.

    One with a file `told` waited for its moment with all its imports done, and tells there when that was.
    """

    process: subprocess.Popen[bytes]
    stderr: Path
    started_s: float
    allowed_s: float = REFUSED_S
    told: Path | None = None
    ended_s: float = 0.0

    @property
    def took_s(self) -> float:
        if self.told is None:
            return self.ended_s - self.started_s
        times = {event["event"]: event.get("time_s") for event in map(json.loads, self.told.read_bytes().splitlines())}
        return times.get("Refused", self.ended_s) - times["Began"]

    @property
    def status(self) -> int:
        return self.process.returncode

    @property
    def said(self) -> str:
        """Return what it wrote to stderr, with the lines joined that a console may have folded."""
        return " ".join(self.stderr.read_text().split())


def run(seed: int, count: int, folder: Path) -> Verdict:
    """Start several orchestrators together `count` times, in each of the ways of `KINDS` in turn."""
    envs = prepare_env(folder)
    import_s = _time_import()

    def play(number: int) -> tuple[Counter[str], list[str]]:
        chance = random.Random(f"double-starts-{seed}-{number}")
        figures: Counter[str] = Counter()
        with trial(folder, number) as found:
            _play(found, envs, chance, KINDS[number % len(KINDS)], import_s, figures)
        return figures, found.defects

    with ThreadPoolExecutor(AT_ONCE) as pool:
        played = list(pool.map(play, range(count)))
    figures = sum((f for f, _ in played), Counter())
    slowest = max(f["refused_ms"] for f, _ in played)
    del figures["refused_ms"]
    shown = {**dict(sorted(figures.items())), "slowest_refusal_s": slowest / 1000, "import_s": round(import_s, 2)}
    return Verdict("double-starts", seed, count, shown, tuple(defect for _, found in played for defect in found))


def _time_import() -> float:
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", "from orchestrator import api"], cwd=ROOT, check=True)
    return time.monotonic() - start


def _play(found: Trial, envs: Path, chance: random.Random, kind: str, import_s: float, figures: Counter[str]) -> None:
    names = [f"w{n}" for n in range(120)]
    sleep_s = (GATE_S + import_s + HOLD_S) / len(names)
    workspace = workspace_at(found.folder / "workspace", envs, [f"{name};sleep={sleep_s:.4f}" for name in names])
    scene = Scene(found, workspace, set(names), Ledger(found, workspace.results / DATASET, ("chaos",)), import_s)
    figures[f"starts_{kind}"] += 1
    {"together": _together, "stopped": _stopped, "killed": _killed}[kind](scene, chance, figures)
    with running_elsewhere(workspace, ["chaos"], found.folder / "told-last", params=scene.params) as last:
        status = last.process.wait(FINISH_S)
    found.expect(that=status == 0, otherwise=f"the last run ended with status {status}")
    check_complete(found, "chaos", read_final(scene.run, "chaos"), scene.names, set())
    figures["executions"] += count_lines(scene.oracle)
    figures["plan"] += len(scene.names)


def _together(scene: Scene, chance: random.Random, figures: Counter[str]) -> None:
    """Two to four start at the same moment, every other time on a run whose last holder was killed."""
    dead = 0
    if chance.random() < 0.5:
        with _holding(scene) as holder:
            dead = holder.process.pid
            holder.kill()
    with ExitStack() as stack:
        starters = _start(scene, stack, chance, chance.randint(2, 4))
        _wait_for_all(starters)
    winners = [starter for starter in starters if starter.status == 0]
    scene.trial.expect(that=bool(winners), otherwise=f"none ran: {[s.status for s in starters]}")
    if winners:
        first = min(winners, key=lambda starter: starter.ended_s)
        figures["came_when_the_first_had_ended"] += len(winners) - 1
        _judge_refusals(scene, [s for s in starters if s not in winners], {first.process.pid}, figures)
    _judge_executions(scene, may_repeat=bool(dead))


def _stopped(scene: Scene, chance: random.Random, figures: Counter[str]) -> None:
    """Let the holder hang (SIGSTOP) while one to three others try."""
    with _holding(scene) as holder, ExitStack() as stack:
        holder.process.send_signal(signal.SIGSTOP)
        starters = _start(scene, stack, chance, chance.randint(1, 3))
        _wait_for_all(starters)
        holder.process.send_signal(signal.SIGCONT)
        status = holder.process.wait(FINISH_S)
    scene.trial.expect(that=status == 0, otherwise=f"the holder ended with status {status} after its stop")
    _judge_refusals(scene, starters, {holder.process.pid}, figures)
    _judge_executions(scene, may_repeat=False)


def _killed(scene: Scene, chance: random.Random, figures: Counter[str]) -> None:
    """Kill the holder at about the moment when one to three others start: one of these may take over."""
    with _holding(scene) as holder, ExitStack() as stack:
        starters = _start(scene, stack, chance, chance.randint(1, 3))
        scene.ledger.look()
        time.sleep(max(0.0, starters[0].started_s - time.time() + chance.uniform(-0.03, 0.03)))
        holder.kill()
        _wait_for_all(starters)
    taken_over = [starter for starter in starters if starter.status == 0]
    figures["taken_over"] += bool(taken_over)
    pids = {holder.process.pid, *(starter.process.pid for starter in taken_over)}
    _judge_refusals(scene, [s for s in starters if s not in taken_over], pids, figures)
    _judge_executions(scene, may_repeat=True)


@contextmanager
def _holding(scene: Scene) -> Iterator[Elsewhere]:
    """Start an orchestrator and yield it once it has begun to ask."""
    with running_elsewhere(scene.workspace, ["chaos"], scene.trial.folder / "told-first", params=scene.params) as first:
        wait_for(first, lambda: count_lines(scene.oracle) > 0)
        yield first


def _start(scene: Scene, stack: ExitStack, chance: random.Random, count: int) -> list[Starter]:
    """Start `count` orchestrators, some by the command line; the others wait for the same moment to begin."""
    moment = time.time() + GATE_S + scene.import_s
    commands = sum(chance.random() < 0.4 for _ in range(count - 1))
    starters = [_start_driver(scene, stack, number, moment) for number in range(count - commands)]
    time.sleep(max(0.0, moment - scene.import_s - time.time()))
    return starters + [_start_command(scene, stack, number) for number in range(commands)]


def _start_driver(scene: Scene, stack: ExitStack, number: int, moment: float) -> Starter:
    told = scene.trial.folder / f"told-{number}"
    options = {"params": scene.params, "moment": moment}
    other = stack.enter_context(running_elsewhere(scene.workspace, ["chaos"], told, **options))
    return Starter(other.process, told.with_suffix(".stderr"), moment, told=told)


def _start_command(scene: Scene, stack: ExitStack, number: int) -> Starter:
    stderr = scene.trial.folder / f"command-{number}.stderr"
    argv = [sys.executable, "-m", "orchestrator", "--workspace", str(scene.workspace.root), "run"]
    argv += ["--model", "chaos", "--dataset", DATASET, "--param", f"oracle={scene.oracle}"]
    err = stack.enter_context(stderr.open("wb"))
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "500"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=err,
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return Starter(process, stderr, time.time(), COMMAND_REFUSED_S)


def _wait_for_all(starters: list[Starter]) -> None:
    """Wait until all have ended, and note when each did."""
    deadline = time.monotonic() + FINISH_S
    while not all(starter.ended_s for starter in starters):
        for starter in starters:
            if not starter.ended_s and starter.process.poll() is not None:
                starter.ended_s = time.time()
        if time.monotonic() > deadline:
            raise TimeoutError(f"an orchestrator was still there after {FINISH_S:g} s")
        time.sleep(0.005)


def _judge_refusals(scene: Scene, refused: list[Starter], holders: set[int], figures: Counter[str]) -> None:
    """Expect status 11, at once, and the holder's name."""
    for starter in refused:
        named = re.search(r"process (\d+) on (\S+);", starter.said)
        is_named = named is not None and int(named[1]) in holders and named[2] == socket.gethostname()
        scene.trial.expect(that=starter.status == LOCKED, otherwise=f"status {starter.status}: {starter.said[-500:]}")
        scene.trial.expect(that=is_named, otherwise=f"held by {sorted(holders)}, but it was said: {starter.said}")
        is_quick = starter.took_s <= starter.allowed_s
        scene.trial.expect(that=is_quick, otherwise=f"it took {starter.took_s:.1f} s to find the run taken")
        figures["refused"] += 1
        figures["refused_by_command"] += starter.told is None
        if starter.told:
            figures["refused_ms"] = max(figures["refused_ms"], round(1000 * starter.took_s))


def _judge_executions(scene: Scene, *, may_repeat: bool) -> None:
    """Expect that nothing was executed twice, but what a killed holder had under way and nobody had seen answered."""
    executions = read_oracle(scene.oracle)
    by_first = {e.name for e in executions if e.pid == executions[0].pid} if may_repeat else set()
    counts = Counter(e.name for e in executions)
    twice = {name for name, n in counts.items() if n > 1}
    unfair = {name for name in twice if counts[name] > 2 or name not in by_first}
    scene.trial.expect(that=not unfair, otherwise=f"executed again for no reason: {sorted(unfair)}")
    scene.trial.expect(that=len(twice) <= UNSEEN_MAX, otherwise=f"executed by two: {sorted(twice)}")
    repeated = scene.ledger.find_repeated(executions)
    scene.trial.expect(that=not repeated, otherwise=f"executed after their answer had been seen: {repeated[:5]}")
