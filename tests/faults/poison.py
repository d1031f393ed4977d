"""Poison: a few samples that end their worker are quarantined, nobody else is; a model that always ends it fails."""

import random
import time

from orchestrator import api
from tests.faults.harness import Verdict, read_final, read_oracle, set_manifest, trial, workspace_at

SAMPLES = 500
POISONS = ("segv", "abort", "exit0", "kill", "gil")
BATCHES = (1, 4, 16)
ITEM_TIMEOUT_S = 1.0
CRASHES_MAX = 3
GIVEN_UP_S = 60.0


def run(seed, count, folder):
    """Hold `count` runs with five poison samples each, and one of a model that always crashes for each batch size."""
    chance = random.Random(seed)
    defects, figures = [], {"samples": SAMPLES * count, "poison": 0, "crashes of one at most": 0, "slowest run s": 0.0}
    for number in range(count):
        with trial(folder, f"run-{number}") as part:
            _poison(part, folder, chance, number, figures)
        defects += part.defects
    for batch_max in BATCHES:
        with trial(folder, f"always-{batch_max}") as part:
            _crash_always(part, folder, batch_max, figures)
        defects += part.defects
    return Verdict("poison", seed, count, figures, tuple(defects))


def _poison(part, folder, chance, number, figures):
    """Ask about samples of which five are poison, spread or side by side, and one says sys.exit, which is no crash."""
    batch_max = BATCHES[number % len(BATCHES)]
    names = [f"w{n}" for n in range(SAMPLES)]
    first = chance.randrange(SAMPLES - len(POISONS) - 1)
    first = 2 if number % 4 == 1 else first  # right at the beginning, but for two that show that the model lives
    side_by_side = range(first, first + len(POISONS) + 1)
    places = list(side_by_side) if number % 2 else chance.sample(range(SAMPLES), len(POISONS) + 1)
    words = dict(zip(places, (*POISONS, "sysexit"), strict=True))
    script = [f"{name};{words[n]}" if n in words else name for n, name in enumerate(names)]
    rows, counts, outcome, elapsed = _ask(part, folder, script, batch_max)
    poison = {names[n] for n, word in words.items() if word != "sysexit"}
    expected = {n: "quarantined" if n in poison else "ok" for n in names}
    expected[next(names[n] for n, word in words.items() if word == "sysexit")] = "error"
    wrong = {name: status for name, status in rows.items() if status != expected[name]}
    part.expect(that=rows.keys() == expected.keys() and not wrong, otherwise=f"batch {batch_max}: wrong rows {wrong}")
    part.expect(that=outcome.error is None, otherwise=f"batch {batch_max}: the model failed: {outcome.error}")
    most = max(counts[name] for name in poison)
    part.expect(that=most <= CRASHES_MAX, otherwise=f"batch {batch_max}: one poison sample was executed {most} times")
    figures["poison"] += len(poison)
    figures["crashes of one at most"] = max(figures["crashes of one at most"], most)
    figures["slowest run s"] = max(figures["slowest run s"], round(elapsed, 1))


def _crash_always(part, folder, batch_max, figures):
    rows, _, outcome, elapsed = _ask(part, folder, [f"w{n};abort" for n in range(100)], batch_max)
    part.expect(that=outcome.error is not None, otherwise=f"batch {batch_max}: it did not fail")
    part.expect(that=elapsed < GIVEN_UP_S, otherwise=f"batch {batch_max}: it took {elapsed:.0f} s to be given up")
    part.expect(that="quarantined" not in rows.values(), otherwise=f"batch {batch_max}: something was quarantined")
    figures[f"given up after s, batch {batch_max}"] = round(elapsed, 1)


def _ask(part, folder, script, batch_max):
    """Ask the chaos runner; return statuses and executions by sample, the model's outcome, and the seconds it took."""
    workspace = workspace_at(part.folder / "workspace", folder / "envs", script)
    workspace = set_manifest(workspace, "chaos", batch_max=batch_max, item_timeout_s=ITEM_TIMEOUT_S)
    oracle = part.folder / "oracle"
    params = {"oracle": str(oracle), "label": "chaos"}
    start = time.monotonic()
    outcome = api.run(models=["chaos"], dataset="words", workspace=workspace, params=params)
    elapsed = time.monotonic() - start
    rows = read_final(outcome.folder, "chaos")
    part.expect(that=len(rows) == len({row["key"] for row in rows}), otherwise="a key has two rows")
    counts = {}
    for execution in read_oracle(oracle):
        counts[execution.name] = counts.get(execution.name, 0) + 1
    return {row["name"]: row["status"] for row in rows}, counts, outcome.models[0], elapsed
