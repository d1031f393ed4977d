"""Kill the orchestrator, or the worker, at random moments of many runs: nothing is lost, doubled or asked in vain."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.faults.harness import Elsewhere, Execution, Trial, Verdict, read_oracle
from tests.faults.scenes import (
    FINISH_S,
    Scene,
    campaign,
    count_lines,
    expect_success,
    find_children,
    finish,
    judge_executions,
    set_scene,
    wait_for,
)
from tests.workers import wait_until_gone

BATCHES = (1, 4, 16)
KILLS_A_RUN, RUNNER_KILLS_A_RUN = 12, 5
WINDOW = 2 * 256  # the most that the workers of two models whose parent is gone can still have been sent
LOSSES_TO_CONDEMN, SOLO_KILLS_TO_CONDEMN = 4, 2
PHASES = {"start": 20, "compaction": 20, "early": 25, "middle": 20, "end": 15}


def kill_orchestrators(seed: int, count: int, folder: Path) -> Verdict:
    """Kill the orchestrator `count` times over many runs, each taken up again until it is complete."""
    return campaign("orchestrator-kills", seed, count, folder, KILLS_A_RUN, _break_run)


def _break_run(found: Trial, envs: Path, chance: random.Random, kills: int, number: int) -> Counter[str]:
    scene = set_scene(found, envs, chance, BATCHES[number % len(BATCHES)], models_max=2, replicas_max=3)
    figures: Counter[str] = Counter(runs=1)
    for _ in range(kills):
        phase = chance.choices([*PHASES], [*PHASES.values()])[0]
        was_killed = _kill_once(scene, phase, figures)
        if not was_killed:
            break
        figures["kills"] += 1
        figures[f"kills_{phase}"] += 1
    finish(scene)
    judge_executions(scene, figures, condemned_after=LOSSES_TO_CONDEMN)
    return figures


def _kill_once(scene: Scene, phase: str, figures: Counter[str]) -> bool:
    """Start the orchestrator and kill it in `phase`; tell whether it was still there to be killed."""
    begun_before = len(read_oracle(scene.oracle))
    with scene.start() as elsewhere:
        if not _await_moment(scene, elsewhere, phase, begun_before) or elsewhere.process.poll() is not None:
            expect_success(scene, elsewhere)
            return False
        if phase != "compaction" and scene.chance.random() < 0.5:
            scene.ledger.look()
        workers = find_children(elsewhere.process.pid)
        elsewhere.kill()
    if elsewhere.process.returncode != -signal.SIGKILL:  # it was quicker than we
        expect_success(scene, elsewhere)
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


def kill_runners(seed: int, count: int, folder: Path) -> Verdict:
    """Kill workers `count` times over many runs, at batches of 1, 4 and 16 in turn."""
    return campaign("runner-kills", seed, count, folder, RUNNER_KILLS_A_RUN, _break_workers)


def _break_workers(found: Trial, envs: Path, chance: random.Random, kills: int, number: int) -> Counter[str]:
    batch_max = BATCHES[number % len(BATCHES)]
    scene = set_scene(found, envs, chance, batch_max, models_max=1, replicas_max=2, more=8 * batch_max)
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
    expect_success(scene, elsewhere)
    judge_executions(scene, figures, condemned_after=SOLO_KILLS_TO_CONDEMN)
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
