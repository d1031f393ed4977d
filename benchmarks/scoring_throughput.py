"""CER of a million short answers beside rapidfuzz's own batch call, and `score` over as many, end to end.

    .venv/bin/python benchmarks/scoring_throughput.py [--answers 1000000] [--rounds 5] [--script latin|cyrillic]

What is compared with is `rapidfuzz.process.cpdist(texts, references, scorer=Levenshtein.distance, workers=1)`: the
distances and nothing else, on one thread, in batches of as many as ours. Both are timed in turns in one run; read the
ratios. Texts have 5 to 40 characters; of three answers in ten the last two are wrong, one in ten is decorated.

End to end is a fresh process that scores a run directory: predictions read and joined with the samples, the scores of
every answer and metric written as Parquet, the summary made. Its peak memory is told at that many answers and at a
tenth of them (Linux).
"""

import argparse
import hashlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from orchestrator.metrics import METRICS  # noqa: E402 - the tests' run directories are written with our own code
from orchestrator.metrics.pairs import Pairs  # noqa: E402
from orchestrator.results.expected import SAMPLES_A_BATCH, iter_expected  # noqa: E402
from orchestrator.results.layout import PROMPTS_NAME, SAMPLES_NAME, predictions_path  # noqa: E402
from orchestrator.results.plan import write_plan  # noqa: E402
from orchestrator.results.schema import PREDICTIONS, PROMPTS, SAMPLES  # noqa: E402
from tests.scored_run import make_cell, make_plan, prediction  # noqa: E402

LETTERS = {"latin": "abcdefghij klmnop ABCD 0123456789", "cyrillic": "абвгдежзи йклмн АБВГД 0123456789"}
DRIVER = """
import re, sys, time
from pathlib import Path
from orchestrator.scoring import score_run
start = time.perf_counter()
summary = score_run(Path(sys.argv[1]), sys.argv[3:] or None)
wall = time.perf_counter() - start
assert summary.figures[0].n_scored == int(sys.argv[2]), summary.figures[0]
# getrusage would tell the peak of the process that started this one, where that is larger
print(wall, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def make_pairs(script, count, seed):
    """Return `count` references, and answers to them."""
    drawn = random.Random(seed)
    letters = LETTERS[script]
    texts = ["".join(drawn.choices(letters, k=drawn.randint(5, 40))) for _ in range(count)]
    references = [" ".join(text.split()) or "x" for text in texts]
    wrong = [f"{text[:-2]}xy" if drawn.random() < 0.3 else text for text in references]
    return references, [f"**{text}**." if drawn.random() < 0.1 else text for text in wrong]


def seconds(function, references, answers):
    """Return how long `function` takes over all batches."""
    start = time.perf_counter()
    for first in range(0, len(answers), SAMPLES_A_BATCH):
        rows = slice(first, first + SAMPLES_A_BATCH)
        function(answers[rows], references[rows])
    return time.perf_counter() - start


def compare(script, count, rounds):
    """Tell the ratios of the metric alone, once on texts as they come and once on texts already normalised."""
    metric = METRICS["cer"]
    references, answers = make_pairs(script, count, 1)
    normal = metric.normaliser.batch(Pairs(answers, references)).values
    ways = {
        "cpdist": (lambda a, r: cpdist(a, r, scorer=Levenshtein.distance, workers=1), normal),
        "cer of normalised texts": (lambda a, r: metric.many(Pairs(a, r)), normal),
        "cer": (lambda a, r: metric.many(metric.normaliser.batch(Pairs(a, r))), answers),
    }
    took = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (function, texts) in ways.items():
            took[name].append(seconds(function, references, texts))
    for name, times in took.items():
        ratios = [ours / theirs for ours, theirs in zip(times, took["cpdist"], strict=True)]
        each = statistics.median(times) / count * 1e9
        print(
            f"{name}: {each:.0f} ns a pair, ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        )


def write_run(folder, script, count):
    """Write a run directory of `count` answers a batch at a time."""
    samples = ({**dict.fromkeys(SAMPLES.names), **row} for row in sample_rows(script, count))
    write_rows(folder / SAMPLES_NAME, SAMPLES, samples)
    digest = hashlib.sha256(b"read").hexdigest()
    write_rows(
        folder / PROMPTS_NAME, PROMPTS, iter([{"id": "read", "sha256": digest, "text": "{question}", "system": None}])
    )
    cell = make_cell("echo", digest)
    write_plan(folder, make_plan(count, [cell]))
    path = predictions_path(folder, "echo")
    path.parent.mkdir()
    expected = (row for batch in iter_expected(folder, cell) for row in batch)
    answers = (
        text for first in range(0, count, SAMPLES_A_BATCH) for text in make_pairs(script, SAMPLES_A_BATCH, first)[1]
    )
    rows = (prediction(row.key, row.sample_id, 1, text, "echo") for row, text in zip(expected, answers, strict=False))
    write_rows(path, PREDICTIONS, rows)


def sample_rows(script, count):
    for first in range(0, count, SAMPLES_A_BATCH):
        references = make_pairs(script, SAMPLES_A_BATCH, first)[0][: count - first]
        for number, reference in enumerate(references, first):
            yield {
                "id": f"s{number}",
                "images": [{"path": f"/data/{number // 8}.png", "sha256": f"{number // 8:064x}"}],
                "question": f"What is field {number}?",
                "references": [reference],
                "doc_class": "id" if number % 3 else "form",
                "question_type": ("name", "date", "number")[number % 3],
            }


def write_rows(path, schema, rows):
    with pq.ParquetWriter(path, schema) as writer:
        held = []
        for row in rows:
            held.append(row)
            if len(held) == 4 * SAMPLES_A_BATCH:
                writer.write_table(pa.Table.from_pylist(held, schema))
                held = []
        writer.write_table(pa.Table.from_pylist(held, schema))


def end_to_end(script, count, metrics):
    """Return wall seconds and peak MB of scoring `count` answers in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder), script, count)
        argv = [sys.executable, "-c", DRIVER, folder, str(count), *metrics]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            sys.exit(done.stderr)
        wall, peak = map(float, done.stdout.split())
        return wall, peak / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--script", choices=LETTERS, default="latin")
    parser.add_argument("--metric-alone", action="store_true", help="leave out `score` end to end")
    options = parser.parse_args()
    compare(options.script, options.answers, options.rounds)
    if options.metric_alone:
        return
    for metrics in (["cer"], []):
        for count in (options.answers // 10, options.answers):
            wall, peak = end_to_end(options.script, count, metrics)
            named = " ".join(metrics) or "the default metrics"
            each = f"{wall / count * 1e6:.1f} µs each"
            print(f"score, {named}: {count:,} answers in {wall:.1f} s ({each}), peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
