"""Kill the orchestrator, or the worker, at random moments of many runs: nothing is lost, doubled or asked in vain."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.config import Workspace
from tests.faults.harness import (
    DATASET,
    Elsewhere,
    Execution,
    Trial,
    Verdict,
    name_of,
    read_final,
    read_oracle,
    running_elsewhere,
    set_manifest,
    trial,
    workspace_at,
)
from tests.faults.ledger import Ledger, check_complete
from tests.workers import wait_until_gone

AT_ONCE = 2  # runs under way, one a processor
BATCHES = (1, 4, 16)
KILLS_A_RUN, RUNNER_KILLS_A_RUN = 12, 5
WINDOW = 256  # the most that a worker whose parent is gone can still have been sent
LOSSES_TO_CONDEMN, SOLO_KILLS_TO_CONDEMN = 4, 2
PHASES = {"start": 20, "compaction": 20, "early": 25, "middle": 20, "end": 15}
FINISH_S, WAIT_S = 60.0, 30.0
DEFECTS_MAX = 10


@dataclass(slots=True)
class Scene:
    """One run that is broken and taken up again, with what a run of it needs."""

    trial: Trial
    chance: random.Random
    workspace: Workspace
    models: tuple[str, ...]
    names: set[str]
    batch_max: int
    ledger: Ledger
    under_way: Counter[tuple[str, str]] = field(default_factory=Counter)
    excess: int = 0  # executions that a kill made to be in vain
    starts: int = 0

    @property
    def run(self) -> Path:
        return self.workspace.results / DATASET

    @property
    def oracle(self) -> Path:
        return self.trial.folder / "oracle"

    def start(self):
        """Start the orchestrator, each time with a file of its own for what it tells."""
        self.starts += 1
        told = self.trial.folder / f"told-{self.starts}"
        return running_elsewhere(self.workspace, self.models, told, params={"oracle": str(self.oracle)}, backoff_s=0.0)


def set_scene(found: Trial, envs: Path, chance: random.Random, batch_max: int, *, models_max: int) -> Scene:
    """Make a workspace of 40 to 120 samples that take 0 to 20 ms each."""
    latency_s = chance.uniform(0, 0.02)
    names = [f"w{n}" for n in range(chance.randint(40, 120))]
    questions = [f"{name};sleep={chance.uniform(0, 2 * latency_s):.4f}" for name in names]
    workspace = workspace_at(found.folder / "workspace", envs, questions)
    workspace = set_manifest(workspace, "chaos", batch_max=batch_max)
    models = ("chaos", "chaos-b")[: chance.randint(1, models_max)]
    ledger = Ledger(found, workspace.results / DATASET, models)
    return Scene(found, chance, workspace, models, {name_of(q) for q in questions}, batch_max, ledger)


def prepare_env(folder: Path) -> Path:
    """Build the chaos runner's environment, which no kill is meant for; return where it is."""
    envs = folder / "envs"
    with trial(folder, "env") as found:
        workspace = workspace_at(found.folder / "workspace", envs, ["w1"])
        with running_elsewhere(workspace, ["chaos"], found.folder / "told") as elsewhere:
            status = elsewhere.process.wait(FINISH_S)
        found.expect(that=status == 0, otherwise=f"an undisturbed run ended with status {status}")
    if found.defects:
        raise RuntimeError(found.defects[0])
    return envs


@dataclass(slots=True)
class Tally:
    """What the trials of a campaign share: the kills still to be made, figures and defects."""

    left: int
    figures: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, most: int) -> int:
        """Take up to `most` kills; none where enough is wrong already."""
        with self._lock:
            if len(self.defects) >= DEFECTS_MAX:
                return 0
            taken = min(most, self.left)
            self.left -= taken
            return taken

    def settle(self, unused: int, found: Trial, figures: Counter[str]) -> None:
        """Give kills back and add what a trial found."""
        with self._lock:
            self.left += unused
            self.figures.update(figures)
            self.defects += found.defects


def _campaign(name: str, seed: int, count: int, folder: Path, most: int, play: Callable[..., Counter[str]]) -> Verdict:
    """Let trials `play` until `count` kills were made, several trials at once."""
    envs = prepare_env(folder)
    tally = Tally(count)

    def line_up(lane: int) -> None:
        number = 0
        while kills := tally.take(most):
            label = f"{lane}-{number}"
            chance = random.Random(f"{name}-{seed}-{label}")
            figures: Counter[str] = Counter()
            with trial(folder, label) as found:
                figures = play(found, envs, chance, kills, number * AT_ONCE + lane)
            tally.settle(kills - figures["kills"], found, figures)
            number += 1

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(line_up, range(AT_ONCE)))
    return Verdict(name, seed, count, dict(sorted(tally.figures.items())), tuple(tally.defects))


def kill_orchestrators(seed: int, count: int, folder: Path) -> Verdict:
    """Kill the orchestrator `count` times over many runs, each taken up again until it is complete."""
    return _campaign("orchestrator-kills", seed, count, folder, KILLS_A_RUN, _break_run)


def _break_run(found: Trial, envs: Path, chance: random.Random, kills: int, number: int) -> Counter[str]:
    scene = set_scene(found, envs, chance, BATCHES[number % len(BATCHES)], models_max=2)
    figures: Counter[str] = Counter(runs=1)
    for _ in range(kills):
        phase = chance.choices([*PHASES], [*PHASES.values()])[0]
        was_killed = _kill_once(scene, phase, figures)
        if not was_killed:
            break
        figures["kills"] += 1
        figures[f"kills_{phase}"] += 1
    _finish(scene)
    _judge_executions(scene, figures, condemned_after=LOSSES_TO_CONDEMN)
    return figures


def _kill_once(scene: Scene, phase: str, figures: Counter[str]) -> bool:
    """Start the orchestrator and kill it in `phase`; tell whether it was still there to be killed."""
    begun_before = len(read_oracle(scene.oracle))
    with scene.start() as elsewhere:
        if not _await_moment(scene, elsewhere, phase, begun_before) or elsewhere.process.poll() is not None:
            _expect_success(scene, elsewhere)
            return False
        if phase != "compaction" and scene.chance.random() < 0.5:
            scene.ledger.look()
        workers = find_children(elsewhere.process.pid)
        elsewhere.kill()
    if elsewhere.process.returncode != -signal.SIGKILL:  # it was quicker than we
        _expect_success(scene, elsewhere)
        return False
    gone = [wait_until_gone(pid, 3) for pid in workers]
    scene.trial.expect(that=all(gone), otherwise="a worker was there 3 s after its orchestrator was killed")
    figures["kills_with_a_worker"] += bool(workers)
    figures["kills_that_left_a_temporary"] += any(scene.run.glob("predictions/.*.tmp"))
    scene.ledger.look()
    _compare_with_told(scene, elsewhere)
    _count_begun(scene, read_oracle(scene.oracle)[begun_before:], figures)
    return True


def _await_moment(scene: Scene, elsewhere: Elsewhere, phase: str, begun_before: int) -> bool:
    """Wait for a random moment of `phase`; tell whether the process lives."""
    chance = scene.chance
    left = max(1, len(scene.names) * len(scene.models) - len(scene.ledger.seen))
    if not wait_for(elsewhere, lambda: bool(elsewhere.events())):
        return False
    if phase == "start":
        time.sleep(chance.uniform(0, 0.25))
        return True
    if phase == "compaction":
        is_there = wait_for(elsewhere, lambda: any(scene.run.glob("predictions/.*.tmp")), pause_s=0.0002)
        time.sleep(chance.uniform(0, 0.006))
        return is_there
    share, spread_s = {"early": (0.05, 0.03), "middle": (0.6, 0.05), "end": (1, 0.25)}[phase]
    wanted = left if phase == "end" else chance.randint(1, max(1, round(share * left)))
    oracle = scene.oracle
    is_there = wait_for(elsewhere, lambda: count_lines(oracle) - begun_before >= wanted)
    time.sleep(chance.uniform(0, spread_s))
    return is_there


def _compare_with_told(scene: Scene, elsewhere: Elsewhere) -> None:
    """Expect that at least as many answers can be read as the killed process had told of."""
    seen = Counter(label for label, _ in scene.ledger.seen)
    told = {event["model"]: event["ok"] for event in elsewhere.events() if event["event"] == "Advance"}
    for model, ok in told.items():
        is_kept = seen[model] >= ok
        scene.trial.expect(that=is_kept, otherwise=f"{model}: told of {ok} answers, {seen[model]} are there")


def _count_begun(scene: Scene, executions: list[Execution], figures: Counter[str]) -> None:
    """Note what the killed orchestrator's workers had begun in vain: that many executions more are fair."""
    in_vain = Counter((e.label, e.name) for e in executions if (e.label, e.name) not in scene.ledger.seen)
    scene.under_way.update(set(in_vain))
    scene.excess += in_vain.total()
    figures["executions_in_vain"] += in_vain.total()
    figures["executions_in_vain_most_at_one_kill"] = max(
        figures["executions_in_vain_most_at_one_kill"], in_vain.total()
    )
    scene.trial.expect(
        that=in_vain.total() <= WINDOW, otherwise=f"{in_vain.total()} executions were in vain at one kill"
    )


def _finish(scene: Scene) -> None:
    """Take the run up once more and let it end."""
    with scene.start() as elsewhere:
        elsewhere.process.wait(FINISH_S)
    _expect_success(scene, elsewhere)


def _expect_success(scene: Scene, elsewhere: Elsewhere) -> None:
    status = elsewhere.process.wait(FINISH_S)
    said = elsewhere.told.with_suffix(".stderr").read_text().strip()
    scene.trial.expect(that=status == 0, otherwise=f"a run ended with status {status}: {said}")
    errors = [event["errors"] for event in elsewhere.events() if event["event"] == "Ended"]
    is_fine = bool(errors) and not any(errors[0])
    scene.trial.expect(that=is_fine or status != 0, otherwise=f"a model failed: {errors}")


def _judge_executions(scene: Scene, figures: Counter[str], *, condemned_after: int) -> None:
    """Compare what is in the end with the plan, with what was seen meanwhile and with what was executed."""
    scene.ledger.look()
    executions = read_oracle(scene.oracle)
    for model in scene.models:
        rows = read_final(scene.run, model)
        fair = {name for (label, name), n in scene.under_way.items() if label == model and n >= condemned_after}
        check_complete(scene.trial, model, rows, scene.names, fair)
        figures["rows"] += len(rows)
        figures["condemned"] += sum(row["status"] == "quarantined" for row in rows)
    repeated = scene.ledger.find_repeated(executions)
    plan = len(scene.names) * len(scene.models)
    too_many = len(executions) - plan - scene.excess
    scene.trial.expect(that=not repeated, otherwise=f"executed after their answer had been seen: {repeated[:5]}")
    scene.trial.expect(that=too_many <= 0, otherwise=f"{too_many} executions more than the plan and the kills explain")
    figures["executions"] += len(executions)
    figures["acknowledged"] += len(scene.ledger.seen)
    figures["acknowledged_and_executed_again"] += len(repeated)
    figures["looks"] += scene.ledger.looks


def kill_runners(seed: int, count: int, folder: Path) -> Verdict:
    """Kill workers `count` times over many runs, at batches of 1, 4 and 16 in turn."""
    return _campaign("runner-kills", seed, count, folder, RUNNER_KILLS_A_RUN, _break_workers)


def _break_workers(found: Trial, envs: Path, chance: random.Random, kills: int, number: int) -> Counter[str]:
    scene = set_scene(found, envs, chance, BATCHES[number % len(BATCHES)], models_max=1)
    figures: Counter[str] = Counter(runs=1)
    with scene.start() as elsewhere:
        for batch in _kill_workers(scene, elsewhere, kills):
            figures["kills"] += 1
            figures[f"kills_at_batch_{scene.batch_max}"] += 1
            scene.excess += len(batch)
            scene.ledger.look()
            if len(batch) == 1:
                scene.under_way[batch[0].label, batch[0].name] += 1
        with suppress(TimeoutError):
            elsewhere.process.wait(FINISH_S)
    _expect_success(scene, elsewhere)
    _judge_executions(scene, figures, condemned_after=SOLO_KILLS_TO_CONDEMN)
    figures["executions_in_flight_at_the_kills"] += scene.excess
    return figures


def _kill_workers(scene: Scene, elsewhere: Elsewhere, kills: int) -> Iterator[list[Execution]]:
    """Kill the worker up to `kills` times; yield what it had under way each time.

    Most kills leave time to answer what the one before had in flight, and a dozen more: of a model that dies before it
    has answered anything, or again and again, bakeoff rightly thinks that it is broken.
    """
    begun, chance = 0, scene.chance
    for _ in range(kills):
        is_close = chance.random() < 0.15
        least = 1 if is_close and begun else scene.batch_max * 2 + 12
        wanted = begun + chance.randint(least, least + 15)
        if not wait_for(elsewhere, lambda wanted=wanted: count_lines(scene.oracle) >= wanted):
            return
        time.sleep(chance.uniform(0, 0.03))
        executions = read_oracle(scene.oracle)
        pid = executions[-1].pid
        if pid not in find_children(elsewhere.process.pid):
            continue
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid, 3)
        executions = read_oracle(scene.oracle)
        begun = len(executions)
        last = next(e for e in reversed(executions) if e.pid == pid)
        yield [e for e in executions if (e.pid, e.time_ns) == (pid, last.time_ns)]


def find_children(pid: int) -> list[int]:
    """Return the processes that `pid` started and that are still there."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def count_lines(path: Path) -> int:
    """Count the whole lines of a file that may not be there yet."""
    with suppress(FileNotFoundError):
        return path.read_bytes().count(b"\n")
    return 0


def wait_for(elsewhere: Elsewhere, is_true: Callable[[], bool], pause_s: float = 0.002) -> bool:
    """Wait until something is true; False where the process ended before."""
    deadline = time.monotonic() + WAIT_S
    while not is_true():
        if elsewhere.process.poll() is not None:
            return False
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing happened within {WAIT_S:g} s")
        time.sleep(pause_s)
    return True
