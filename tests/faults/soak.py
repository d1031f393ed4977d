"""Soak: thousands of samples with every fault at one percent; what comes out equals what the script says."""

import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from tests.faults.harness import (
    Verdict,
    name_of,
    read_final,
    read_oracle,
    running_elsewhere,
    set_manifest,
    trial,
    workspace_at,
)

SHARE = 0.01
# What each script word comes to. A fault with `times=1` happens only the first time, as a cosmic ray would.
FAULTS = {
    **{f"{word};times=1": "ok" for word in ("segv", "abort", "exit0", "kill", "gil", "batchonly")},
    **dict.fromkeys(("noise", "stderr=100000", "surrogate", "big=5000000", "fork", "daemon", "sleep=0.02"), "ok"),
    **dict.fromkeys(("raise", "oom", "sysexit"), "error"),
}
POISONS = ("segv", "abort", "exit0", "kill", "gil")
BATCH_MAX, ITEM_TIMEOUT_S = 4, 1.0
RSS_MB, COMPACTION_MB, DESCRIPTORS = 60.0, 300.0, 4  # texts of 5 MB are folded in, a few at a time
SAMPLE_S = 0.5
HURRY_S = 3600.0
LONG_S = 60.0


def run(seed, count, folder):
    """Ask about `count` samples; look at the orchestrator's memory and descriptors meanwhile."""
    chance = random.Random(seed)
    script, expected = _write_script(chance, count)
    figures = {}
    with trial(folder, "soak") as part:
        figures = _soak(part, folder, script, expected)
    return Verdict("soak", seed, count, figures, tuple(part.defects))


def _write_script(chance, count):
    """Return the questions, and the status that each sample must end with: every fault, and poison, at one percent."""
    words = [*FAULTS, "poison"]
    script, expected = [], {}
    for n in range(count):
        draw = chance.random()
        word = words[int(draw / SHARE)] if draw < SHARE * len(words) else ""
        name = f"w{n}"
        if word == "poison":
            script.append(f"{name};{chance.choice(POISONS)}")
        else:
            script.append(f"{name};{word}" if word else name)
        expected[name] = "quarantined" if word == "poison" else FAULTS.get(word, "ok")
    return script, expected


def _soak(part, folder, script, expected):
    workspace = workspace_at(part.folder / "workspace", folder / "envs", script)
    workspace = set_manifest(workspace, "chaos", batch_max=BATCH_MAX, item_timeout_s=ITEM_TIMEOUT_S)
    oracle, told = part.folder / "oracle", part.folder / "told"
    params = {"oracle": str(oracle), "label": "chaos"}
    start = time.monotonic()
    with running_elsewhere(workspace, ["chaos"], told, params=params, backoff_s=0.0) as elsewhere:
        looks = list(_look(elsewhere.process, start + HURRY_S))
        part.expect(that=elsewhere.process.wait(1) == 0, otherwise=f"it ended with {elsewhere.process.returncode}")
    ended = elsewhere.events()[-1]
    part.expect(that=ended.get("errors") == [None], otherwise=f"the model failed: {ended}")
    rows = read_final(workspace.results / "words", "chaos")
    _compare(part, rows, script, expected)
    _expect_flat(part, looks)
    executions = Counter(execution.name for execution in read_oracle(oracle))
    return {
        "seconds": round(time.monotonic() - start, 1),
        "statuses": str(dict(Counter(row["status"] for row in rows))),
        "workers": len({execution.pid for execution in read_oracle(oracle)}),
        "executions": executions.total(),
        "memory MB, early, late, at most": " ".join(f"{mb:.0f}" for mb in _memory(looks)),
        "descriptors, early and late": f"{looks[len(looks) // 4][1]} and {looks[-2][1]}" if len(looks) > 1 else "",
        "is long enough to judge memory": str(_is_long(looks)),
    }


def _compare(part, rows, script, expected):
    found = {row["name"]: row["status"] for row in rows}
    part.expect(that=len(found) == len(rows) == len(expected), otherwise=f"{len(rows)} rows of {len(expected)}")
    wrong = {name: (status, expected[name]) for name, status in found.items() if status != expected[name]}
    part.expect(
        that=not wrong, otherwise=f"{len(wrong)} have another status than they should: {dict(list(wrong.items())[:5])}"
    )
    scripts = {name_of(question): question for question in script}
    mute = [row["name"] for row in rows if row["status"] == "ok" and row["text"] != _answer(scripts[row["name"]])]
    part.expect(that=not mute, otherwise=f"{len(mute)} have another text than was said: {mute[:5]}")


def _answer(question):
    name, *words = question.split(";")
    pairs = dict(word.partition("=")[::2] for word in words)
    return f"answer {name}" + "x" * int(pairs.get("big", 0)) + "\ufffd" * ("surrogate" in pairs)


def _look(process, deadline):
    """Yield resident megabytes and open descriptors of `process` until it ends."""
    while process.poll() is None and time.monotonic() < deadline:
        if sys.platform == "linux":
            try:
                pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
                yield pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(os.listdir(f"/proc/{process.pid}/fd"))  # noqa: PTH208
            except OSError:
                return
        time.sleep(SAMPLE_S)


def _is_long(looks):
    """Tell whether the run went on long enough: a short one is all beginning."""
    return len(looks) * SAMPLE_S >= LONG_S


def _memory(looks):
    """Return megabytes after a quarter of the time, after nine tenths, and the most, which the compaction takes."""
    if not looks:
        return ()
    return looks[len(looks) // 4][0], looks[len(looks) * 9 // 10][0], max(megabytes for megabytes, _ in looks)


def _expect_flat(part, looks):
    """Compare the end with the first quarter; the last look may be that of a process that is on its way out."""
    if not _is_long(looks):
        return
    early, late, most = _memory(looks)
    part.expect(that=late - early < RSS_MB, otherwise=f"memory grew from {early:.0f} to {late:.0f} MB")
    part.expect(that=most - early < COMPACTION_MB, otherwise=f"compaction took {most - early:.0f} MB more")
    fewer, more = looks[len(looks) // 4][1], looks[-2][1]
    part.expect(that=more - fewer < DESCRIPTORS, otherwise=f"descriptors grew from {fewer} to {more}")
