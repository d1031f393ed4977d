"""How near the time of several models at once comes to the shortest that is possible.

    .venv/bin/python benchmarks/side_by_side.py [--rounds 3]

Models that sleep in place of working are run over one dataset: four that take no core, four of one core each on two
cores, three of a GPU each on two declared ones. The shortest possible time is that of the kind that takes longest: what
its models sleep, divided by how many fit at a time, and no less than the longest of them. Beside it stands what all
take one after the other (`--max-parallel 1`).
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from orchestrator import api  # noqa: E402

SLEEPER = """
import time

def load(params):
    time.sleep(params["load_s"])
    return params["item_s"]

def generate(item_s, request):
    time.sleep(item_s)
    return {"text": "done"}
"""
SAMPLES = 20
# name, manifest, how many fit at a time, seconds to load and for an item
KINDS = {
    "endpoint": ("cores = 0", None, [(0.1, 0.40), (0.1, 0.35), (0.1, 0.30), (0.1, 0.10)]),
    "core": ("cores = 1", 2, [(0.5, 0.20), (0.5, 0.20), (0.5, 0.10), (0.5, 0.10)]),
    "gpu": ('accelerator = "cuda"', 2, [(1.0, 0.15), (1.0, 0.10), (1.0, 0.05)]),
}


def write_workspace(root):
    """Write a workspace of sleepers; return their names and the shortest possible time, in seconds."""
    (root / "bakeoff.toml").write_text('[settings]\ncores = 2\ndevices = ["0", "1"]\n')
    (root / "prompts").mkdir()
    (root / "prompts/question.txt").write_text("{question}\n")
    (root / "datasets").mkdir()
    (root / "datasets/numbers.csv").write_text("question,answer\n" + "".join(f"n{n},done\n" for n in range(SAMPLES)))
    names, bounds = [], []
    for kind, (manifest, places, models) in KINDS.items():
        folder = root / "runners" / kind
        folder.mkdir(parents=True)
        (folder / "runner.py").write_text(SLEEPER)
        (folder / "requirements.txt").touch()
        tables = [f"[models.{kind}-{n}]\nload_s = {load}\nitem_s = {item}" for n, (load, item) in enumerate(models)]
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        (folder / "runner.toml").write_text("\n".join([f'python = "{version}"', manifest, *tables]) + "\n")
        names += [f"{kind}-{n}" for n in range(len(models))]
        times = [load + SAMPLES * item for load, item in models]
        bounds.append(max(*times, sum(times) / (places or len(times))))
    return names, max(bounds)


def time_run(root, names, run, max_parallel):
    """Return how long a run of all models takes, in seconds."""
    start = time.perf_counter()
    outcome = api.run(models=names, dataset="numbers", name=run, max_parallel=max_parallel, workspace=root)
    took = time.perf_counter() - start
    if not outcome.is_complete:
        sys.exit(f"not complete: {outcome}")
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names, shortest_s = write_workspace(root)
        api.run(models=names, dataset="numbers", name="warm-up", limit=1, workspace=root)  # builds environments
        together = [time_run(root, names, f"together-{n}", None) for n in range(rounds)]
        alone = time_run(root, names, "alone", 1)
    figures = {
        "shortest_s": round(shortest_s, 1),
        "together_s": round(statistics.median(together), 1),
        "ratio": round(statistics.median(together) / shortest_s, 2),
        "ratio_range": [round(min(together) / shortest_s, 2), round(max(together) / shortest_s, 2)],
        "one_after_the_other_s": round(alone, 1),
        "ratio_of_that": round(alone / shortest_s, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
