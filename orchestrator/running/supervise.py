"""Keep one model's workers busy until everything asked is answered or the model is given up."""

import hashlib
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from orchestrator.images import probe
from orchestrator.protocol import Failure, ProtocolError, Response
from orchestrator.results.journal import Journal
from orchestrator.results.layout import spill_folder
from orchestrator.running.interrupt import Interrupt
from orchestrator.running.missing import Missing, Task
from orchestrator.running.rows import Row, defect_row, failure_row, response_row, status_row
from orchestrator.session import GRACE_S, Session
from orchestrator.worker_life import Gone

CRASHES_IN_A_ROW = 3
CRASHES_ALONE = 2
LOSSES_IN_A_ROW = 5
QUARANTINED_MAX, QUARANTINED_SHARE = 10, 0.02
BACKOFF_S = (0.0, 1.0, 2.0, 5.0)
DRAIN_S = 30.0
POLL_S = 0.5


@dataclass(slots=True)
class Work:
    """What is to be asked and what became of it; survives the workers. Leaving it writes the verdicts still open.

    `alone` holds the suspects of a crash: they are asked again one at a time, so that each is found guilty or not.
    `guilty` holds those that were; the verdict is written once the model has answered something else since the first of
    their `crashes`, for only then was it not the model. `losses` counts the requests that cost a worker since the last
    answer.
    """

    missing: Missing
    journal: Journal
    run: Path
    began_ns: int
    statuses: dict[str, int]
    again: deque[Task] = field(default_factory=deque)
    alone: deque[Task] = field(default_factory=deque)
    crashes: Counter[str] = field(default_factory=Counter)
    answers_at_crash: dict[str, int] = field(default_factory=dict)
    guilty: list[tuple[Task, str]] = field(default_factory=list)
    losses: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    _tasks: Iterator[Task] = field(init=False)

    def __enter__(self) -> Self:
        """Begin with the first task."""
        self._tasks = self.missing.tasks()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the next run ask again whoever is guilty with no answer since: perhaps it was the model."""
        self.condemn("crashed")

    @property
    def is_proven(self) -> bool:
        """Tell whether the model has ever answered."""
        return self.missing.has_answers or "ok" in self.statuses

    def has_more(self) -> bool:
        """Tell whether anything is left to dispatch."""
        first = self.next_task()
        if first is not None:
            self.again.appendleft(first)
        return first is not None

    def next_task(self) -> Task | None:
        """Return the next task that can be dispatched; samples with a defect become rows on the way."""
        if self.again:
            return self.again.popleft()
        for task in self._tasks:
            if task.expected.defect is None:
                return task
            self.record([defect_row(task)])
        return None

    def record(self, rows: list[Row]) -> None:
        """Write `rows` to the journal and count them."""
        self.journal.append(rows)
        for row in rows:
            self.statuses[row["status"]] = self.statuses.get(row["status"], 0) + 1
            if message := row.get("error_message"):
                self.reasons.setdefault(row["status"], message)

    def record_answers(self, rows: list[Row]) -> None:
        """Write what a worker answered; an answer clears the model and so condemns those found guilty before."""
        self.record(rows)
        if any(row["status"] == "ok" for row in rows):
            self.losses = 0
            self.condemn("quarantined")

    def note_crash(self, task: Task) -> bool:
        """Count a crash of which `task` is the one suspect; tell whether that is enough to find it guilty."""
        key = task.expected.key
        self.crashes[key] += 1
        self.answers_at_crash.setdefault(key, self.statuses.get("ok", 0))
        return self.crashes[key] >= CRASHES_ALONE

    def find_guilty(self, task: Task, reason: str) -> None:
        """Write the verdict on `task`, or keep it until the model has answered something else."""
        if self.answers_at_crash[task.expected.key] < self.statuses.get("ok", 0):
            self.record([status_row(task, "quarantined", reason)])
        else:
            self.guilty.append((task, reason))

    def condemn(self, status: str) -> None:
        """Write the verdict on those found guilty: `quarantined` is final, `crashed` is asked again by the next run."""
        guilty, self.guilty = self.guilty, []
        if guilty:
            self.record([status_row(task, status, reason) for task, reason in guilty])

    def find_hopelessness(self) -> str | None:
        """Say why the model is to be given up: so many requests cost a worker that it is hardly their fault."""
        if self.losses >= LOSSES_IN_A_ROW:
            return f"{self.losses} requests in a row, each alone, ended its worker or took too long"
        quarantined = self.statuses.get("quarantined", 0)
        if quarantined > max(QUARANTINED_MAX, QUARANTINED_SHARE * self.missing.total):
            return f"{quarantined} requests ended its worker"
        return None


@dataclass(slots=True)
class _Shift:
    """One worker's part of the work."""

    work: Work
    session: Session
    interrupt: Interrupt
    on_progress: Callable[[], None]
    system: tuple[str | None, ...]
    in_flight: dict[str, Task] = field(default_factory=dict)
    answered: int = 0
    lost_device: str | None = None
    is_done: bool = False
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def serve(self) -> Gone | None:
        """Send and receive until the worker is gone, or nothing is left to do or somebody said stop (None)."""
        while True:
            for event in self._receive(self.session.poll(POLL_S)):
                if isinstance(event, Gone):
                    return event
            self.on_progress()
            self.work.journal.sync_if_due()
            if self.lost_device:
                return self.session.abandon(f"its device was lost: {self.lost_device}")
            if self.interrupt.level:
                return None
            self._top_up()
            if self.session.window and not self.in_flight and self.is_done and not self.work.alone:
                return None

    def hand_back(self, identities: tuple[str, ...]) -> list[Task]:
        """Return the tasks of requests that are no longer in flight."""
        return [self.in_flight.pop(identity) for identity in identities if identity in self.in_flight]

    def receive_last(self) -> None:
        """Let the worker end by itself, which finishes what it began, and keep what it still answers."""
        for events in self.session.close(DRAIN_S if self.interrupt.level else GRACE_S):
            self._receive(events)
            if self.interrupt.level > 1:
                return

    def _receive(self, events: list[Any]) -> list[Any]:
        rows = []
        for event in events:
            if isinstance(event, Response):
                rows.append(self._to_row(self.in_flight.pop(event.id), event))
            elif isinstance(event, Failure) and event.id is not None:
                rows.append(failure_row(self.in_flight.pop(event.id), event))
                if event.kind == "device_lost":
                    self.lost_device = event.message
        if rows:
            self.answered += self.lost_device is None
            self.work.record_answers(rows)
        return events[-1:]

    def _to_row(self, task: Task, response: Response) -> Row:
        if response.text_sha256 is None:
            return response_row(task, response, response.text)
        text = _read_spilled(spill_folder(self.work.run) / f"{response.id}-{response.text_sha256}.txt")
        if text is None:
            return status_row(task, "lost", "the spilled text is missing or damaged")
        return response_row(task, response, text)

    def _top_up(self) -> None:
        """Fill the window; while there are suspects, ask one of them at a time and nothing else.

        Of a model that has never answered the others are asked first: perhaps it is the model.
        """
        work = self.work
        if work.alone and (work.is_proven or self.is_done):
            if not self.in_flight and self.session.free > 0:
                self._send(work.alone.popleft())
            return
        for _ in range(self.session.free):
            task = work.next_task()
            if task is None:
                self.is_done = True
                break
            self._send(task)
        self.session.flush()

    def _send(self, task: Task) -> None:
        expected = task.expected
        if expected.images and (change := _find_change(task, self.work.began_ns)):
            self.work.record([status_row(task, "error", change)])
            return
        identity = str(next(self._ids))
        request: dict[str, Any] = {"type": "request", "id": identity, "prompt": expected.prompt}
        if (system := self.system[task.cell]) is not None:
            request["system"] = system
        if expected.images:
            request["images"] = [{"path": path, "sha256": digest} for path, digest in expected.images]
        try:
            self.session.send(request)
        except ProtocolError as error:
            self.work.record([status_row(task, "bad_input", f"the prompt cannot be sent: {error}")])
            return
        self.in_flight[identity] = task


def answer_all(
    work: Work,
    start: Callable[[], Session],
    system: tuple[str | None, ...],
    interrupt: Interrupt,
    on_progress: Callable[[], None],
) -> str | None:
    """Do `work` with workers from `start`, one after the other; return why the model failed, or None.

    A request that twice was alone under way when a worker died is quarantined; what was not begun is asked again.
    The model fails with one death while loading, three in a row that no request explains, five requests in a row that
    cost a worker each, or too many quarantined.
    """
    crashes = 0
    while interrupt.level == 0:
        time.sleep(BACKOFF_S[min(crashes, len(BACKOFF_S) - 1)])
        with start() as session:
            shift = _Shift(work, session, interrupt, on_progress, system)
            gone = shift.serve()
            if gone is None:
                shift.receive_last()
                return None
        if gone.cause in {"load_failed", "load_timeout"}:
            return gone.reason
        is_explained = _sort_out(work, shift, gone)
        crashes = 0 if is_explained else 1 if shift.answered else crashes + 1
        if failure := work.find_hopelessness():
            return f"{failure}: {gone.reason}"
        if crashes >= CRASHES_IN_A_ROW:
            return f"its worker died {crashes} times in a row without an answer: {gone.reason}"
    return None


def _sort_out(work: Work, shift: _Shift, gone: Gone) -> bool:
    """Give every request that was in flight its due when a worker is lost; tell whether one of them explains it.

    Of what took too long, or else of what was begun, several are asked again one at a time. The rest is just asked
    again. Nobody is to blame while the model has never answered, or where the device was lost.
    """
    if shift.lost_device:
        work.again.extend(shift.hand_back((*gone.suspects, *gone.waiting)))
        return False
    suspects = shift.hand_back(gone.timed_out or gone.suspects)
    work.again.extend(shift.hand_back((*gone.suspects, *gone.waiting)))
    if len(suspects) != 1:
        work.alone.extend(map(_tried_again, suspects))
        return False
    (suspect,) = suspects
    if gone.timed_out:
        work.losses += 1
        work.record([status_row(suspect, "timeout", gone.reason)])
    elif work.note_crash(suspect) and work.is_proven:
        work.losses += 1
        work.find_guilty(suspect, gone.reason)
    else:
        work.alone.append(_tried_again(suspect))
    return work.is_proven


def _tried_again(task: Task) -> Task:
    return task._replace(attempts=task.attempts + 1)


def _find_change(task: Task, began_ns: int) -> str | None:
    """Say which image is not what it was when the run began and images were digested."""
    for image in task.expected.images:
        try:
            is_younger = Path(image.path).stat().st_mtime_ns > began_ns
        except OSError as error:
            return f"{image.path}: cannot be read any more: {error.strerror}"
        if is_younger and probe(Path(image.path)).sha256 != image.sha256:
            return f"{image.path}: was changed since the run began; the next run asks about what it is then"
    return None


def _read_spilled(path: Path) -> str | None:
    """Take a spilled text from its file, whose name ends in its digest; None where they do not agree."""
    try:
        data = path.read_bytes()
        path.unlink()
    except OSError:
        return None
    is_whole = path.stem.endswith(hashlib.sha256(data).hexdigest())
    return data.decode("utf-8", "replace") if is_whole else None
