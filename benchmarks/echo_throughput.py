"""Samples a second through `echo`, end to end, beside the bare JSON-lines ceiling of the standard library.

    .venv/bin/python benchmarks/echo_throughput.py [--samples 200000] [--rounds 3]

The ceiling is two processes that exchange the same requests through pipes with json, batched non-blocking I/O, the
better of a window of 64 and of 256, and nothing else: no checks, no journal, no Parquet. Both are timed in turns in one
run; read the ratio, not the figures. The memory of the orchestrator is its peak over that many samples and over a tenth
of them.
"""

import argparse
import json
import os
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
WINDOWS = (64, 256)
DRIVER = """
import resource, sys, time
from pathlib import Path
from orchestrator.api import run
start = time.perf_counter()
outcome = run(models=["echo"], dataset="big", workspace=Path(sys.argv[1]))
wall = time.perf_counter() - start
assert outcome.models[0].statuses == {"ok": int(sys.argv[2])}, outcome
print(wall, outcome.models[0].elapsed_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def bare(samples, window):
    """Return samples a second of the bare exchange."""
    child = subprocess.Popen(
        [sys.executable, HERE / "bare_child.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    reader, writer = child.stdout.fileno(), child.stdin.fileno()
    os.set_blocking(reader, False)
    selector = selectors.DefaultSelector()
    selector.register(reader, selectors.EVENT_READ)
    start, sent, received, rest = time.perf_counter(), 0, 0, b""
    while received < samples:
        lines = []
        while sent < samples and sent - received < window:
            request = {
                "id": str(sent),
                "image_path": f"/data/images/{sent}.jpg",
                "prompt": f"What is {sent}?",
            }
            lines.append(json.dumps(request))
            sent += 1
        if lines:
            os.write(writer, ("\n".join(lines) + "\n").encode())
        selector.select()
        *answers, rest = (rest + os.read(reader, 1 << 20)).split(b"\n")
        for answer in answers:
            json.loads(answer)
        received += len(answers)
    rate = samples / (time.perf_counter() - start)
    child.stdin.close()
    child.wait()
    child.stdout.close()
    return rate


def end_to_end(samples):
    """Return wall seconds, seconds of the model's part, and peak MB of a fresh run over `samples` samples."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "bakeoff.toml").write_text("")
        for name in ("datasets", "prompts"):
            (root / name).mkdir()
        (root / "prompts" / "question.txt").write_text("{question}")
        with (root / "datasets" / "big.csv").open("w") as file:
            file.write("question,answer\n")
            file.writelines(f"What is {i}?,{i}\n" for i in range(samples))
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, folder, str(samples)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        wall, model, peak = map(float, done.stdout.split())
        return wall, model, peak / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ratios = []
    for _ in range(options.rounds):
        ceiling = max(bare(options.samples, window) for window in WINDOWS)
        wall, model, peak = end_to_end(options.samples)
        ratios.append(options.samples / wall / ceiling)
        print(
            f"bare {ceiling:,.0f}/s   bakeoff {options.samples / wall:,.0f}/s end to end"
            f" ({options.samples / model:,.0f}/s without reading the dataset)   ratio {ratios[-1]:.2f}"
            f"   peak {peak:.0f} MB"
        )
    small = end_to_end(options.samples // 10)[2]
    print(f"median ratio {statistics.median(ratios):.2f}; peak {small:.0f} MB at {options.samples // 10:,} samples")


if __name__ == "__main__":
    main()
