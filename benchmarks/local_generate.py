"""Tokens a second of `runners/qwen2_vl` through a whole run, beside a plain batched `model.generate` loop.

    .venv/bin/python benchmarks/local_generate.py [--shape small] [--batch 1 8 32] [--pages 96] [--tokens 16]

Both ask the same checkpoint, of random weights made on the spot, about the same images with the same prompts, in
batches of the same size, by the same Python, in turns in one run; read the ratios, not the figures. Every answer has
`--tokens` tokens. `asking` is from the first batch that was begun to the last answer that was written down; of the
loop, to the last text. `whole` is the process with all it starts: imports, loading the model, and ours from the csv to
the compacted Parquet file.

The device waits between the end of one call of `model.generate` and the begin of the next. Both are told by
timed_calls.py, which the loop uses and which a copy of the runner's folder has around its two functions. So is the CPU
time of the process during its batches, whose ratio says what a busy machine hides.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from orchestrator.config import get_runner, open_workspace  # noqa: E402 - the clone's own, whatever is installed
from orchestrator.env import ensure_env  # noqa: E402

SIZES = {"tiny": ((96, 64), (150, 200), (224, 112)), "qwen2-vl-2b": ((672, 448), (840, 1120), (1120, 560))}
SIZES["small"] = SIZES["tiny"]
QUESTIONS = ("What is on page {}?", "Which colour has the square on page {}, and where on the page is it?", "Read {}.")
DTYPES = {"tiny": "float32", "small": "float32", "qwen2-vl-2b": "bfloat16"}
TIMED = """
from timed_calls import timed

_load = load


def load(params):
    state = _load(params)
    state.model.generate = timed("generate", state.model.generate)
    return state


generate_batch = timed("batch", generate_batch)
"""
DRIVER = """
import sys
from pathlib import Path
from orchestrator.api import run
outcome = run(models=["local"], dataset="pages", name="run", workspace=Path(sys.argv[1]))
assert outcome.models[0].statuses == {"ok": int(sys.argv[2])}, outcome
"""
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # it doubles many start times


@dataclass(frozen=True)
class Timing:
    """One way's part of a round: rates in tokens a second, shares of the time from first to last `generate`."""

    asking: float
    whole: float
    waiting_share: float
    between_share: float
    cpu_s: float
    calls: int
    texts: dict


def make_pages(folder, count, sizes):
    """Draw `count` pages of `sizes` in turns, as a dataset; return pairs of image and question."""
    (folder / "images").mkdir(parents=True)
    draw, pages = np.random.default_rng(0), []
    for number in range(count):
        width, height = sizes[number % len(sizes)]
        page = Image.new("RGB", (width, height), "white")
        left, top = (int(draw.integers(4, side // 2)) for side in (width, height))
        shade = tuple(int(value) for value in draw.integers(0, 256, 3))
        ImageDraw.Draw(page).rectangle((left, top, left + width // 3, top + height // 3), fill=shade)
        page.save(folder / "images" / f"{number:05}.png")
        pages.append((f"images/{number:05}.png", QUESTIONS[number // 2 % 3].format(number)))
    with (folder / "annotation.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image_path", "question", "answer"), *((*page, "") for page in pages)])
    return [(str(folder / path), question) for path, question in pages]


def make_workspace(root, checkpoint, options):
    """Write a workspace with a model `local` of a timed copy of the runner."""
    model = {"checkpoint": str(checkpoint), "device": options.device, "max_new_tokens": options.tokens}
    table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in model.items())
    (root / "bakeoff.toml").write_text(f'[models.local]\nrunner = "qwen2_vl"\n{table}')
    (root / "envs").symlink_to(ROOT / "envs")
    (root / "prompts").mkdir()
    (root / "prompts" / "question.txt").write_text("{question}")
    shutil.copytree(ROOT / "runners", root / "runners", ignore=shutil.ignore_patterns("__pycache__"))
    runner = root / "runners" / "qwen2_vl"
    shutil.copy(HERE / "timed_calls.py", runner)
    (runner / "runner.py").write_text((runner / "runner.py").read_text() + TIMED)


def set_batch(root, batch):
    """Let the runner take `batch` requests at a time."""
    manifest = root / "runners" / "qwen2_vl" / "runner.toml"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(f"batch_max = {batch}\n" if line.startswith("batch_max") else line for line in lines))


def take_calls(folder):
    """Return the begins and ends of `generate` and of `batch`, as two arrays, and the CPU seconds of all batches."""
    calls = [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]
    (folder / "calls.jsonl").unlink()
    named = ([(c["begin"], c["end"]) for c in calls if c["name"] == name] for name in ("generate", "batch"))
    return *map(np.array, named), sum(c["cpu_s"] for c in calls if c["name"] == "batch")


def idle_share(calls, of):
    """Return how much of the time from the first begin to the last end of `of` is in none of `calls`."""
    begin, end = of[0, 0], of[-1, 1]
    busy = np.clip(calls, begin, end)
    return 1 - (busy[:, 1] - busy[:, 0]).sum() / (end - begin)


def run_process(argv, **options):
    """Run to the end; return seconds and output.

    In a session of its own, as a worker is: a busy kernel shares its time out by sessions.
    """
    start = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, start_new_session=True, **options)
    if done.returncode:
        sys.exit(f"{argv[1]} failed: {done.stderr[-3000:]}")
    return time.perf_counter() - start, done.stdout


def bare(python, root, checkpoint, batch, options):
    """Time the plain loop."""
    argv = [python, HERE / "bare_generate.py", checkpoint, root / "pages.json", str(batch), str(options.tokens)]
    whole_s, told = run_process([*argv, options.device], cwd=root)
    generates, batches, cpu_s = take_calls(root)
    questions = [question for _, question in json.loads((root / "pages.json").read_text())]
    texts = dict(zip(questions, json.loads(told), strict=True))
    tokens = options.pages * options.tokens
    asked_s = batches[-1, 1] - batches[0, 0]
    shares = idle_share(generates, generates), idle_share(batches, generates)
    return Timing(tokens / asked_s, tokens / whole_s, *shares, cpu_s, len(generates), texts)


def ours(root, options):
    """Time a fresh run."""
    whole_s, _ = run_process([sys.executable, "-c", DRIVER, root, str(options.pages)], cwd=ROOT)
    generates, batches, cpu_s = take_calls(root)
    run = root / "results" / "run"
    rows = pq.read_table(run / "predictions" / "local.parquet")
    samples = pq.read_table(run / "samples.parquet", columns=["id", "question"]).to_pylist()
    questions = {sample["id"]: sample["question"] for sample in samples}
    asked = map(questions.get, rows["sample_id"].to_pylist())
    texts = dict(zip(asked, rows["text"].to_pylist(), strict=True))
    tokens = sum(rows["output_tokens"].to_pylist())
    if tokens != options.pages * options.tokens:
        sys.exit(f"{tokens} tokens came, and {options.pages * options.tokens} were asked for")
    ends = rows["time"].to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    asked_s = ends.max() - (ends - rows["latency_s"].to_numpy()).min()
    shutil.rmtree(root / "results")
    shares = idle_share(generates, generates), idle_share(batches, generates)
    return Timing(tokens / asked_s, tokens / whole_s, *shares, cpu_s, len(generates), texts)


def measure(python, root, checkpoint, batch, options):
    """Time both, tell, and return the figures of both."""
    plain, found = bare(python, root, checkpoint, batch, options), ours(root, options)
    same = sum(found.texts[question] == text for question, text in plain.texts.items())
    ratio, whole, cpu = found.asking / plain.asking, found.whole / plain.whole, plain.cpu_s / found.cpu_s
    print(
        f"batch {batch}: bare {plain.asking:,.0f}/s, ours {found.asking:,.0f}/s, ratio {ratio:.2f} (CPU {cpu:.2f},"
        f" whole {whole:.2f}); device waits: bare {plain.waiting_share:.1%}, ours {found.waiting_share:.1%}, of it"
        f" between batches {found.between_share:.2%}; calls {plain.calls} and {found.calls};"
        f" same text {same} of {options.pages}   (load {os.getloadavg()[0]:.1f})",
        flush=True,
    )
    return plain, found


def tell_medians(batch, rounds):
    """Tell the medians over the rounds, and the range of ratios, as a row of a table."""

    def median(figure):
        return statistics.median(figure(plain, found) for plain, found in rounds)

    def spread(figure):
        values = [figure(plain, found) for plain, found in rounds]
        return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"

    cells = (
        str(batch),
        f"{median(lambda plain, _: plain.asking):,.0f}",
        f"{median(lambda _, found: found.asking):,.0f}",
        spread(lambda plain, found: found.asking / plain.asking),
        spread(lambda plain, found: plain.cpu_s / found.cpu_s),
        f"{median(lambda plain, found: found.whole / plain.whole):.2f}",
        f"{median(lambda plain, _: plain.waiting_share):.1%}",
        f"{median(lambda _, found: found.waiting_share):.1%}",
        f"{median(lambda _, found: found.between_share):.2%}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=DTYPES, default="small")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0 ...")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--pages", type=int, default=96)
    parser.add_argument("--tokens", type=int, default=16, help="tokens of each answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU")
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    python = ensure_env(open_workspace(ROOT), get_runner(open_workspace(ROOT), "qwen2_vl"), print).python
    with tempfile.TemporaryDirectory() as folder:
        root, checkpoint = Path(folder), Path(folder) / "checkpoint"
        run_process([python, HERE / "local_checkpoint.py", options.shape, DTYPES[options.shape], checkpoint])
        make_workspace(root, checkpoint, options)
        pages = make_pages(root / "datasets" / "pages", options.pages, SIZES[options.shape])
        (root / "pages.json").write_text(json.dumps(pages))
        for batch in options.batch:
            set_batch(root, batch)
            rounds = [measure(python, root, checkpoint, batch, options) for _ in range(options.rounds)]
            tell_medians(batch, rounds)


if __name__ == "__main__":
    main()
