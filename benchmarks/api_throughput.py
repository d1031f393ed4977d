"""Requests a second through the `openai` runner, end to end, beside the least a Python client can do.

    .venv/bin/python benchmarks/api_throughput.py [--images 1000] [--in-flight 64] [--latency-ms 50] [--rounds 3]

Both ask the same chat server on loopback about the same JPEG files of about 100 KB, each of which is another one, in
turns in one run; read the ratio, not the figures. Ours is timed twice: from the first request that was begun to the
last answer that was written down, which the bare client's time from its first request to its last answer is compared
with, and as a whole process with all it starts, from the csv to the compacted Parquet file, beside the bare one's.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from orchestrator.config import get_runner, open_workspace  # noqa: E402 - the clone's own, whatever is installed
from orchestrator.env import ensure_env  # noqa: E402
from tests.servers.chat import chat_server  # noqa: E402

IMAGE_BYTES = 100_000
QUESTION = "What is on page {}?"
KEY = "sk-loopback-0123456789"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # it doubles many start times
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
DRIVER = """
import json, resource, sys
from pathlib import Path
from orchestrator import cli
from orchestrator.api import run
sys.meta_path.insert(0, cli._NoPandas)  # as the command line does
if len(sys.argv) > 2:
    import cProfile
    profile = cProfile.Profile(); profile.enable()
outcome = run(models=["loopback"], dataset="pages", name="run", workspace=Path(sys.argv[1]))
if len(sys.argv) > 2:
    profile.disable(); profile.dump_stats(sys.argv[2])
ours, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({
    "statuses": outcome.models[0].statuses, "error": outcome.models[0].error, "peak_kb": ours.ru_maxrss,
    "cpu_s": ours.ru_utime + ours.ru_stime, "worker_cpu_s": children.ru_utime + children.ru_stime,
}))
"""


def make_workspace(root, url, count, in_flight):
    """Write a workspace with a model `loopback` and a dataset of `count` pages; return the pages' folder."""
    manifest = {"base_url": url, "model": "loopback", "api_key_env": "LOOPBACK_API_KEY", "concurrency_max": in_flight}
    table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in manifest.items())
    (root / "bakeoff.toml").write_text(f'[models.loopback]\nrunner = "openai"\n{table}')
    (root / "envs").symlink_to(ROOT / "envs")
    (root / "prompts").mkdir()
    (root / "prompts" / "question.txt").write_text("{question}\n")
    images = root / "datasets" / "pages" / "images"
    images.mkdir(parents=True)
    page = make_jpeg()
    with (images.parent / "annotation.csv").open("w") as file:
        file.write("image_path,question,answer\n")
        for number in range(count):
            question = QUESTION.replace("{}", str(number))
            file.write(f"images/{number:06}.jpg,{question},{question}\n")
            (images / f"{number:06}.jpg").write_bytes(with_comment(page, str(number).encode()))
    return images


def make_jpeg():
    """Return noise, whose JPEG is of about `IMAGE_BYTES`."""
    pixels = np.random.default_rng(0).integers(0, 256, (320, 320, 3), dtype=np.uint8)
    for quality in range(95, 5, -1):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        if file.tell() <= IMAGE_BYTES:
            break
    return file.getvalue()


def with_comment(jpeg, comment):
    """Return the same picture in other bytes, of the same number for each comment."""
    segment = comment.rjust(12)
    return jpeg[:2] + b"\xff\xfe" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]


@contextmanager
def watching(pid, peaks):
    """Look again and again at the memory of the children of process `pid`, whose most goes into `peaks`, in MB."""
    ended = threading.Event()

    def watch():
        while not ended.wait(0.1):
            for child in read(f"/proc/{pid}/task/{pid}/children").split():
                high = [line for line in read(f"/proc/{child}/status").splitlines() if line.startswith("VmHWM")]
                if high and b"worker.py" in read(f"/proc/{child}/cmdline").encode():
                    peaks.append(int(high[0].split()[1]) / 1024)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def read(path):
    try:
        return Path(path).read_text()
    except OSError:  # it has ended meanwhile
        return ""


def ours(root, count, profile):
    """Return the figures of a fresh run."""
    peaks = []
    environment = {**os.environ, "LOOPBACK_API_KEY": KEY}
    argv = [sys.executable, "-c", DRIVER, str(root), *([profile] if profile else [])]
    start = time.perf_counter()
    process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    with watching(process.pid, peaks):
        told = process.communicate()[0]
    whole_s = time.perf_counter() - start
    if process.returncode:
        sys.exit("the run failed")
    figures = json.loads(told)
    if figures["statuses"] != {"ok": count} or figures["error"]:
        sys.exit(f"not every request was answered: {figures}")
    table = pq.read_table(root / "results" / "run" / "predictions" / "loopback.parquet", columns=["time", "latency_s"])
    ends = table["time"].to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    asked_s = ends.max() - (ends - table["latency_s"].to_numpy()).min()
    subprocess.run(["rm", "-rf", root / "results"], check=True)
    return {**figures, "asked_s": asked_s, "whole_s": whole_s, "worker_peak_mb": max(peaks, default=0)}


def bare(python, images, url, in_flight):
    """Return the figures of the bare client."""
    host, _, port = url.removeprefix("http://").removesuffix("/v1").partition(":")
    start = time.perf_counter()
    argv = [python, HERE / "bare_api_client.py", images, host, port, str(in_flight), QUESTION]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    process.stdout.close()
    if status:
        sys.exit("the bare client failed")
    whole_s = time.perf_counter() - start
    return {"asked_s": float(told), "whole_s": whole_s, "cpu_s": usage.ru_utime + usage.ru_stime}


def cpu_s(pid):
    """Return the CPU seconds of a process."""
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", help="a file for cProfile's figures of the orchestrator")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = ensure_env(open_workspace(ROOT), get_runner(open_workspace(ROOT), "openai"), print).python
        with chat_server(python=str(python), latency_ms=options.latency_ms, log=False) as server:
            images = make_workspace(Path(folder), server.url, options.images, options.in_flight)
            rounds = [measure(Path(folder), images, server, python, options) for _ in range(options.rounds)]
    if len(rounds) > 1:
        least, found, ratio, whole, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = [row[2] for row in rounds]
        print(
            f"medians: bare {least:,.0f}/s, ours {found:,.0f}/s, ratio {ratio:.2f} ({min(ratios):.2f} to"
            f" {max(ratios):.2f}), of whole processes {whole:.2f}, CPU s per 1000 requests {cpu:.2f}"
        )


def measure(root, images, server, python, options):
    """Time both, tell, and return both rates, their ratio, that of whole processes, and CPU seconds per 1000."""
    count, limit = options.images, options.in_flight / options.latency_ms * 1000 if options.latency_ms else 0
    before = cpu_s(server.process.pid)
    least = bare(python, images, server.url, options.in_flight)
    served = cpu_s(server.process.pid) - before
    found = ours(root, count, options.profile)
    thousands, load = count / 1000, os.getloadavg()[0]
    rates = {name: count / figures["asked_s"] for name, figures in (("bare", least), ("ours", found))}
    shares = {name: f"{rate / limit:.0%} of the limit" if limit else "" for name, rate in rates.items()}
    print(
        f"bare {rates['bare']:,.0f}/s {shares['bare']}, whole {least['whole_s']:.2f} s, CPU"
        f" {least['cpu_s'] / thousands:.2f} s (server {served / thousands:.2f} s) per 1000\n"
        f"ours {rates['ours']:,.0f}/s {shares['ours']}, whole {found['whole_s']:.2f} s, CPU"
        f" {found['cpu_s'] / thousands:.2f} + {found['worker_cpu_s'] / thousands:.2f} s per 1000,"
        f" peak {found['peak_kb'] / 1024:.0f} + {found['worker_peak_mb']:.0f} MB"
        f"   ratio {rates['ours'] / rates['bare']:.2f}   (load {load:.1f})",
        flush=True,
    )
    cpu = (found["cpu_s"] + found["worker_cpu_s"]) / thousands
    return rates["bare"], rates["ours"], rates["ours"] / rates["bare"], least["whole_s"] / found["whole_s"], cpu


if __name__ == "__main__":
    main()
