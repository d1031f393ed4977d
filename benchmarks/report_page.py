"""How long `report` takes over a million predictions, and how much memory.

    .venv/bin/python benchmarks/report_page.py [--samples 100000] [--models 10]

Each model answers every sample; of a hundred answers one is refused, one fails, 40 are wrong. Scoring by `exact` and
`cer` and writing the page are processes of their own; told are wall and CPU seconds and the peak of memory (Linux).
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.pages_run import make_pages_run, sample  # noqa: E402

WORDS = ("Selangor", "Kuala", "Lumpur", "receipt", "TOTAL", "86.00", "SDN", "BHD", "53300", "Байкал", "улица", "number")
DRIVER = """
import re, sys, time
from pathlib import Path
from orchestrator.pages import write_report
from orchestrator.scoring import score_run
run, part = Path(sys.argv[1]), sys.argv[2]
wall, cpu = time.perf_counter(), time.process_time()
score_run(run, ["exact", "cer"]) if part == "score" else write_report(run)
took = time.perf_counter() - wall, time.process_time() - cpu
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
size = f", page {(run / 'report.html').stat().st_size / 1e6:.1f} MB" if part == "report" else ""
print(f"{part}: {took[0]:.0f} s, {took[1]:.0f} s of CPU, peak {peak / 1024:.0f} MB{size}")
"""


def write_run(folder, count, models):
    """Write a run of `models` by `count` answers a batch at a time."""
    drawn = random.Random(1)
    references = [" ".join(drawn.choices(WORDS, k=drawn.randint(1, 8))) for _ in range(5000)]

    def samples():
        for number in range(count):
            more = {"doc_class": ("receipt", "form", "id")[number % 3], "question_type": ("total", "date")[number % 2]}
            images = [{"path": f"/data/{number // 4}.png", "sha256": f"{number // 4:064x}"}]
            yield sample(number, references=[references[number % 5000]], images=images, **more)

    def answer(sample_id, *_):
        reference, chance = references[int(sample_id[1:]) % 5000], drawn.random()
        if chance < 0.02:
            return "<refused>" if chance < 0.01 else "<error>"
        text = reference if chance < 0.6 else f"{reference[:-2]}xy" if chance < 0.8 else f"The answer is: {reference}."
        return {"text": text, "latency_s": 3 * chance, "cost": chance / 1000, "input_tokens": 300, "output_tokens": 9}

    return make_pages_run(folder, samples, answer, models=[f"model-{n}" for n in range(models)], count=count)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(folder, options.samples, options.models)
        print(f"{options.samples * options.models:,} predictions")
        for part in ("score", "report"):
            subprocess.run([sys.executable, "-c", DRIVER, str(run), part], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
