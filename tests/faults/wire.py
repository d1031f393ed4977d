"""Workers that get the wire wrong: nothing hangs, no memory is lost, and no row says what was not answered."""

import json
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator import api
from orchestrator.config import Workspace
from orchestrator.protocol import Failure, LineSplitter, ProtocolError, Response, decode
from orchestrator.results.schema import FINAL_STATUSES
from orchestrator.running import supervise
from orchestrator.session import Gone, Ready, Session
from tests.faults import harness
from tests.faults.harness import Verdict
from tests.runners.chaos_wire.lines import HARMLESS, LINES, REFUSED
from tests.runners.chaos_wire.transcript import Transcript, read_answer, read_transcript
from tests.workers import spec_of, write_words

MODEL = "chaos_wire"
STATUSES = FINAL_STATUSES | {"error", "timeout", "crashed", "lost", "cancelled"}
PATIENCE_S = 2.0  # beyond the clocks that a worker has
MEMORY_MB = 100
OF_SESSIONS, OF_RUNS = 0.2, 0.1  # the share of the lines that cross a real pipe, and that are part of a run
REQUESTS, PROMPTS = 24, 800
DROPPED = ("twice", "unknown id")  # ten of these end a worker too
STAGES = ("answer first", "started first", "bye first", "loaded twice", "no JSON", "mute")

# What a session is about, again and again in this order, and how often its worker does what.
_HARMLESS = ({"right": 4, "harmless": 6}, 20.0)
_HARMFUL = ({"right": 3, "harmless": 6, "harmful": 1}, 0.7)
_SLOW = ({"right": 6, "slow": 1}, 0.4)
_HEAVY = ({"right": 6, "heavy": 1}, 20.0)
TURNS = (*(_HARMLESS, _HARMFUL, _SLOW, _HARMLESS, _HARMFUL, _HEAVY, *(_HARMLESS, _HARMFUL) * 10),)
RUN_KINDS = {"right": 60, "harmless": 30, "harmful": 2, "slow": 0.1, "heavy": 0.1}


@dataclass(slots=True)
class Tally:
    """What was tried and found until now."""

    lines: int = 0
    refused: int = 0
    sessions: int = 0
    workers: int = 0
    runs: int = 0
    rows: int = 0
    slowest_s: float = 0.0
    defects: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)

    def expect(self, that: object, otherwise: str) -> None:
        """Note the defect `otherwise` unless `that` holds."""
        if not that:
            self.defects.append(otherwise)

    def took(self, seconds: float, what: str) -> None:
        """Note how long something took beyond its clock."""
        self.slowest_s = max(self.slowest_s, seconds)
        self.expect(seconds <= PATIENCE_S, f"{what} took {seconds:.1f} s beyond its clock")


class _HungError(Exception):
    """Something took so long that it had to be broken off."""


def run(seed: int, count: int, folder: Path) -> Verdict:
    """Try `count` mutated lines: most in this process, the rest through sessions and whole runs."""
    tally, chance = Tally(), random.Random(seed)
    workspace = harness.workspace_at(folder / "workspace", folder / "envs", ["one"])
    folder.joinpath("transcripts").mkdir()
    _run_once(workspace, folder, Tally(), f"{seed}-warm", prompts=20)  # what is imported and built counts as no growth
    begun_mb = _begin_measuring()
    for_runs, for_sessions = int(count * OF_RUNS), int(count * OF_SESSIONS)
    _try_lines(chance, count - for_runs - for_sessions, tally)
    _try_sessions(workspace, folder, tally, tally.lines + for_sessions, seed)
    if count >= harness.CAMPAIGNS["wire"].many:
        _talk(
            workspace,
            folder,
            tally,
            {"seed": seed, "kinds": {"heavy": 1}, "deed": "endless line", "long_line_mb": 1024},
        )
    _try_runs(workspace, folder, tally, tally.lines + for_runs, seed)
    grown_mb = _peak_mb() - begun_mb
    tally.expect(grown_mb <= MEMORY_MB, f"memory grew by {grown_mb:.0f} MB")
    figures = {
        "lines mutated": tally.lines,
        "kinds of faults": len(tally.kinds),
        "lines refused in process": tally.refused,
        "sessions": tally.sessions,
        "runs": tally.runs,
        "workers of runs": tally.workers,
        "rows checked": tally.rows,
        "slowest beyond its clock, s": round(tally.slowest_s, 2),
        "memory growth at most, MB": round(grown_mb),
    }
    return Verdict("wire", seed, count, figures, tuple(dict.fromkeys(tally.defects)))


def _try_lines(chance: random.Random, count: int, tally: Tally) -> None:
    """Decode `count` mutated lines as a session would: cut from a stream that arrives in pieces."""
    names = list(LINES)
    for number in range(count):
        name = chance.choice(names)
        tally.kinds.add(name)
        message = {"type": "response", "id": str(number), "text": f"answer w{number}", "latency_s": 0.01}
        message |= chance.choice(({}, {"info": {"a": [1, "ж"]}}, {"input_tokens": 3, "stop_reason": "stop"}))
        data = LINES[name](chance, message)
        start = time.monotonic()
        with _broken_off(tally, 60, f"decoding {name}"):
            _judge_lines(name, data, message, _read(data, chance), tally)
        tally.took(time.monotonic() - start, f"decoding '{name}'")
        tally.lines += 1


def _read(data: bytes, chance: random.Random) -> tuple[list[Response], bool]:
    """Return the answers in `data` up to the first line that is no message, and whether there was one."""
    splitter, answers = LineSplitter(), []
    try:
        while data:
            end = chance.choice((1, 7, 100, 1 << 16, 1 << 20))
            piece, data = data[:end], data[end:]
            for found in splitter.feed(piece):
                message = decode(found)
                if isinstance(message, Response):
                    answers.append(message)
    except ProtocolError:
        return answers, True
    return answers, False


def _judge_lines(
    name: str, data: bytes, message: dict[str, object], found: tuple[list[Response], bool], tally: Tally
) -> None:
    answers, is_refused = found
    tally.refused += is_refused
    said = {read_answer(part) for part in data.split(b"\n")}
    for answer in answers:
        is_said = (answer.id, answer.text, answer.text_sha256) in said
        tally.expect(is_said, f"'{name}' was read as what it does not say: {data[:200]!r}")
    if name in HARMLESS:
        mine = [answer for answer in answers if answer.id == message["id"]]
        tally.expect(mine and not is_refused, f"'{name}' was refused: {data[:200]!r}")
    elif name in REFUSED:
        tally.expect(is_refused, f"'{name}' was taken for a message: {data[:200]!r}")


def _try_sessions(workspace: Workspace, folder: Path, tally: Tally, until: int, seed: int) -> None:
    """Ask workers that misbehave, one after the other, until so many lines were mutated."""
    chance = random.Random(f"{seed}-sessions")
    while tally.lines < until and len(tally.defects) < 20:
        kinds, item_timeout_s = TURNS[tally.sessions % len(TURNS)]
        control = {"seed": f"{seed}-{tally.sessions}", "kinds": kinds}
        if tally.sessions % 10 == 9:
            control["stage"] = chance.choice(STAGES)
        _talk(workspace, folder, tally, control, item_timeout_s)


def _talk(
    workspace: Workspace, folder: Path, tally: Tally, control: dict[str, object], item_timeout_s: float = 1.0
) -> None:
    """Ask one worker REQUESTS requests and judge what came of them."""
    notes = _prepare(folder, control)
    load_timeout_s = 1.0 if control.get("stage") == "mute" else 20.0
    timeouts = {"item_timeout_s": item_timeout_s, "load_timeout_s": load_timeout_s}
    spec = spec_of(workspace, MODEL, {"transcripts": str(notes)}, **timeouts)
    tally.sessions += 1
    what = f"session {control}"
    events, before = [], len(tally.defects)
    asked = [str(number) for number in range(1, REQUESTS + 1)]
    with _broken_off(tally, 90, what), Session(spec) as session:
        events = list(_converse(session, asked, tally, what))
    transcripts = [read_transcript(path) for path in notes.glob("*.jsonl")]
    for transcript in transcripts:
        tally.lines += len(transcript.faults)
        tally.kinds.update(transcript.faults)
        _judge_session(events, asked, transcript, tally, what)
        tally.defects[before:] = [
            f"{defect} (its last faults: {transcript.faults[-2:]})" for defect in tally.defects[before:]
        ]
    shutil.rmtree(spec.spill, ignore_errors=True)


def _converse(session: Session, asked: list[str], tally: Tally, what: str) -> Iterator[object]:
    """Ask and yield all events until all is answered or the worker gone; nothing may take longer than its clock."""
    spec, open_, is_ready = session.spec, len(asked), False
    last = time.monotonic()
    while open_:
        start = time.monotonic()
        events = session.poll(0.5)
        now = time.monotonic()
        tally.took(now - start - 0.5, f"{what}: a poll")
        told = [event for event in events if isinstance(event, Response | Failure | Gone | Ready)]
        clock_s = spec.item_timeout_s if is_ready else spec.load_timeout_s
        if told:
            last = now
        elif now - last > clock_s + PATIENCE_S:
            tally.took(now - last - clock_s, f"{what}: silence")
            return
        for event in told:
            yield event
            open_ -= isinstance(event, Response | Failure)
            if isinstance(event, Gone):
                return
            if isinstance(event, Ready):
                is_ready = True
                for identity in asked:
                    session.send({"type": "request", "id": identity, "prompt": f"w{identity}"})


def _judge_session(events: list[object], asked: list[str], transcript: Transcript, tally: Tally, what: str) -> None:
    ended = [event.id for event in events if isinstance(event, Response | Failure)]
    gone = next((event for event in events if isinstance(event, Gone)), None)
    for answer in events:
        if isinstance(answer, Response):
            is_said = (answer.text, answer.text_sha256) in transcript.answers.get(answer.id, ())
            tally.expect(is_said, f"{what}: took {answer.text[:80]!r} for the answer to {answer.id}")
    if gone is not None and any(isinstance(event, Ready) for event in events):
        ended += [*gone.suspects, *gone.waiting]
        tally.expect(sorted(ended) == sorted(asked), f"{what}: {gone.reason}: not every request ended once: {ended}")
        tally.expect(set(gone.timed_out) <= set(gone.suspects), f"{what}: timed out, not begun: {gone.timed_out}")
    is_harmless = all(fault in HARMLESS or fault in _ALSO_HARMLESS for fault in transcript.faults)
    if is_harmless and sum(fault in DROPPED for fault in transcript.faults) <= 10:
        tally.expect(gone is None, f"{what}: ended a worker for {transcript.faults}: {gone}")


_ALSO_HARMLESS = ("before started", "not started", "byte by byte", "reordered", "error", "spilled")


def _try_runs(workspace: Workspace, folder: Path, tally: Tally, until: int, seed: int) -> None:
    """Hold whole runs with such workers until so many lines were mutated."""
    number = 0
    while tally.lines < until and len(tally.defects) < 20:
        prompts = min(PROMPTS, 60 + 2 * (until - tally.lines))
        _run_once(workspace, folder, tally, f"{seed}-{number}", prompts)
        number += 1


def _run_once(workspace: Workspace, folder: Path, tally: Tally, seed: str, prompts: int) -> None:
    """Ask `prompts` samples of a worker that misbehaves, two times, and at last of a good one."""
    control = {"seed": seed, "kinds": RUN_KINDS}
    notes = _prepare(folder, control)
    write_words(workspace.root, [f"w{number}" for number in range(prompts)])
    options = {"models": MODEL, "dataset": harness.DATASET, "workspace": workspace, "name": f"run-{seed}"}
    backoff_s, supervise.BACKOFF_S = supervise.BACKOFF_S, (0.0,)
    for attempt in range(3):
        if attempt == 2:
            control["kinds"] = {"right": 1}
            (notes / "control.json").write_text(json.dumps(control))
        what = f"run {seed}, attempt {attempt}"
        with _broken_off(tally, 60, what):
            outcome = api.run(**options, params={"transcripts": str(notes)})
            _judge_run(outcome.folder, notes, tally, what, prompts if attempt == 2 else None)
    supervise.BACKOFF_S = backoff_s
    found = [read_transcript(path) for path in notes.glob("*.jsonl")]
    tally.runs += 1
    tally.workers += len(found)
    for transcript in found:
        tally.lines += len(transcript.faults)
        tally.kinds.update(transcript.faults)


def _judge_run(run: Path, notes: Path, tally: Tally, what: str, complete: int | None) -> None:
    """Compare the rows with what the workers really said; `complete` is how many there must be, if all must."""
    said: dict[str, set[str]] = {}
    for path in notes.glob("*.jsonl"):
        transcript = read_transcript(path)
        for identity, prompt in transcript.prompts.items():
            said.setdefault(prompt, set()).update(transcript.texts(identity))
    rows = harness.read_final(run, MODEL)
    tally.rows += len(rows)
    tally.expect(len({row["key"] for row in rows}) == len(rows), f"{what}: several rows of one key")
    for row in rows:
        tally.expect(row["status"] in STATUSES, f"{what}: {row['name']} has the status {row['status']}")
        if row["status"] == "ok":
            is_said = row["text"] in said.get(row["name"], ())
            tally.expect(is_said, f"{what}: {row['name']} has {row['text'][:80]!r}, which was never its answer")
    if complete is not None:
        left = [row["name"] for row in rows if row["status"] not in {"ok", "quarantined"}]
        tally.expect(len(rows) == complete and not left, f"{what}: {len(rows)} rows, unanswered {left[:5]}")


def _prepare(folder: Path, control: dict[str, object]) -> Path:
    notes = folder / "transcripts"
    shutil.rmtree(notes, ignore_errors=True)
    notes.mkdir()
    (notes / "control.json").write_text(json.dumps(control))
    return notes


@contextmanager
def _broken_off(tally: Tally, seconds: int, what: str) -> Iterator[None]:
    """Turn what hangs and what is raised into a defect."""

    def give_up(*_: object) -> None:
        raise _HungError

    before = signal.signal(signal.SIGALRM, give_up)
    left_s = signal.alarm(seconds)
    start = time.monotonic()
    try:
        yield
    except _HungError:
        tally.defects.append(f"{what}: hung for {seconds} s and was broken off")
    except Exception as error:
        tally.defects.append(f"{what}: {type(error).__name__}: {error}")
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.alarm(max(1, left_s - int(time.monotonic() - start)) if left_s else 0)


def _begin_measuring() -> float:
    """Forget the peak of memory, where that can be done, and return what is used now, in MB."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_mb()


def _peak_mb() -> float:
    with suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
