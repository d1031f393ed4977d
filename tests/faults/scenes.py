"""The runs that are broken at random: made, taken up again, and judged in the end."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.config import Workspace
from tests.faults.harness import (
    DATASET,
    Elsewhere,
    Trial,
    Verdict,
    read_final,
    read_oracle,
    running_elsewhere,
    set_manifest,
    trial,
    workspace_at,
)
from tests.faults.ledger import Ledger, check_complete

AT_ONCE = 2  # runs under way, one a processor
FINISH_S, WAIT_S = 60.0, 30.0
DEFECTS_MAX = 10
MAXIMA = {"executions_in_vain_most_at_one_kill"}


@dataclass(slots=True)
class Scene:
    """One run that is broken and taken up again, with what a run of it needs."""

    trial: Trial
    chance: random.Random
    workspace: Workspace
    models: tuple[str, ...]
    names: set[str]
    batch_max: int
    replicas_max: int
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

    def start(self) -> AbstractContextManager[Elsewhere]:
        """Start the orchestrator, each time with a file of its own for what it tells, and another number of workers."""
        self.starts += 1
        told = self.trial.folder / f"told-{self.starts}"
        options = {"replicas": self.chance.randint(1, self.replicas_max), "backoff_s": 0.0}
        return running_elsewhere(self.workspace, self.models, told, params={"oracle": str(self.oracle)}, **options)


def set_scene(
    found: Trial,
    envs: Path,
    chance: random.Random,
    batch_max: int,
    *,
    models_max: int,
    replicas_max: int,
    more: int = 0,
) -> Scene:
    """Make a workspace of 40 to 120 samples, and `more`, that take up to 20 ms each in the mean.

    Its models take no core, so that they work side by side.
    """
    latency_s = chance.uniform(0, 0.02)
    names = [f"w{n}" for n in range(chance.randint(40, 120) + more)]
    questions = [f"{name};sleep={chance.uniform(0, 2 * latency_s):.4f}" for name in names]
    workspace = workspace_at(found.folder / "workspace", envs, questions)
    workspace = set_manifest(workspace, "chaos", batch_max=batch_max, cores=0)
    models = ("chaos", "chaos-b")[: chance.randint(1, models_max)]
    ledger = Ledger(found, workspace.results / DATASET, models)
    return Scene(found, chance, workspace, models, set(names), batch_max, replicas_max, ledger)


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
            for name, n in figures.items():
                before = self.figures[name]
                self.figures[name] = max(before, n) if name in MAXIMA else before + n
            self.defects += found.defects


def campaign(name: str, seed: int, count: int, folder: Path, most: int, play: Callable[..., Counter[str]]) -> Verdict:
    """Let trials `play` until `count` kills were made, several trials at once."""
    envs = prepare_env(folder)
    tally = Tally(count)

    def line_up(lane: int) -> None:
        number = 0
        while kills := tally.take(min(most, -(-count // AT_ONCE))):
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


def finish(scene: Scene) -> None:
    """Take the run up once more and let it end."""
    with scene.start() as elsewhere:
        elsewhere.process.wait(FINISH_S)
    expect_success(scene, elsewhere)


def expect_success(scene: Scene, elsewhere: Elsewhere) -> None:
    status = elsewhere.process.wait(FINISH_S)
    said = elsewhere.told.with_suffix(".stderr").read_text().strip()
    scene.trial.expect(that=status == 0, otherwise=f"a run ended with status {status}: {said}")
    errors = [event["errors"] for event in elsewhere.events() if event["event"] == "Ended"]
    is_fine = bool(errors) and not any(errors[0])
    scene.trial.expect(that=is_fine or status != 0, otherwise=f"a model failed: {errors}")


def judge_executions(scene: Scene, figures: Counter[str], *, condemned_after: int) -> None:
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
