"""One worker's part of the work: keep its window full, take what it answers, notice what it was doing when it went."""

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.images import probe
from orchestrator.protocol import Failure, ProtocolError, Response
from orchestrator.running.interrupt import Interrupt
from orchestrator.running.loading import Loading
from orchestrator.running.missing import Task
from orchestrator.running.rows import Row, failure_row, response_row, status_row
from orchestrator.running.spilled import take_spilled
from orchestrator.running.work import Work
from orchestrator.session import GRACE_S, Session
from orchestrator.worker_life import Begun, Event, Gone, Ready, TimedOut

DRAIN_S = 30.0
POLL_S = 0.5
TELL_AFTER_S = 0.5
PROBE = "probe-"
CANCELLED = "cancelled"
_PASSING = {"transient", "rate_limited", "refused", "oom"}
PROBES_LOOKED_AT = 10


@dataclass(slots=True)
class Shift:
    """What one worker has in hand. `failure` says why the model is given up though this worker lives.

    `cut_off` is set where the worker said itself that nothing more will be answered.
    """

    work: Work
    session: Session
    interrupt: Interrupt
    on_progress: Callable[[str], None]
    system: tuple[str | None, ...]
    in_flight: dict[str, Task] = field(default_factory=dict)
    on_trial: deque[Task] | None = None
    probe: str | None = None
    dropped: list[Task] = field(default_factory=list)
    lost_device: str | None = None
    failure: str | None = None
    cut_off: Failure | None = None
    is_done: bool = False
    is_ending: bool = False
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _seen: dict[str, int] = field(default_factory=dict)
    _paced: float = field(default_factory=time.monotonic)
    _pace: float = 0.0
    _answered: int = 0

    def serve(self) -> Gone | None:
        """Send and receive until the worker is gone, or nothing is left to do or somebody said stop (None)."""
        self.work.ceiling.leave(self.work.spent)  # what the worker before it had under way
        loading = Loading(self.session, self.work.note, is_repeated=False, log=self.session.spec.log)
        while True:
            for event in self._receive(self.session.poll(POLL_S)):
                if isinstance(event, Gone):
                    return event
            self.on_progress(loading.look())
            self.work.journal.sync_if_due()
            if self.lost_device:
                return self.session.abandon(f"its device was lost: {self.lost_device}")
            self.failure = self.failure or self.work.find_end()
            if self.interrupt.level or self.failure:
                return None
            if self.session.window and not self._top_up():
                return None
            if not self.session.window and self.work.tasks.sharers > 1 and self.work.is_idle:
                return None  # others were quicker than it could be loaded

    def hand_back(self, identities: tuple[str, ...]) -> list[Task]:
        """Return the tasks of requests that are no longer in flight."""
        return [self.in_flight.pop(identity) for identity in identities if identity in self.in_flight]

    def hand_back_unsent(self) -> list[Task]:
        """Return the tasks of a trial that were not sent."""
        unsent, self.on_trial = list(self.on_trial or ()), None
        return unsent

    def receive_last(self) -> None:
        """Let the worker end by itself, which finishes what it began, and keep what it still answers."""
        self.is_ending = True
        is_stopped = self.interrupt.level or self.cut_off or self.work.ceiling.reason
        patience_s = DRAIN_S if is_stopped else GRACE_S
        began, is_told = time.monotonic(), False
        for events in self.session.close(patience_s):
            self._receive(events)
            if self.interrupt.level > 1:
                return
            elapsed = time.monotonic() - began
            stage = self._describe_wait(patience_s - elapsed)
            if stage and not is_told and elapsed > TELL_AFTER_S:
                is_told = True
                self.work.note(stage)
            self.on_progress(stage)

    def _describe_wait(self, left_s: float) -> str:
        n = len(self._begun())
        return f"waiting for {n} answer{'s' * (n != 1)}, {max(0.0, left_s):.0f} s at most" if n else ""

    def _begun(self) -> list[Task]:
        return [task for task in self.in_flight.values() if task.expected.key in self.work.open]

    def cancel_rest(self) -> None:
        """Write down what we stopped before it was answered.

        What its worker never sent, and all after being cut off, is as if it had not been asked.
        """
        if self.cut_off:
            self.dropped += self.hand_back(tuple(self.in_flight))
        self.work.withdraw(self.dropped, self.failure or "the run was stopped before it was sent")
        self.work.again.extend(self.dropped)
        rows = [status_row(task, "cancelled", "stopped before it was answered") for task in self._begun()]
        return self.work.record(rows)

    def _receive(self, events: list[Event]) -> list[Event]:
        rows: list[Row] = []
        for event in events:
            if isinstance(event, Response):
                if event.id == self.probe:
                    self._end_probe(None)
                else:
                    rows.append(self._to_row(self.in_flight.pop(event.id), event))
            elif not isinstance(event, Gone):
                self._receive_other(event, rows)
        if rows:
            self.work.record_answers(rows)
        return events[-1:]

    def _receive_other(self, event: Failure | TimedOut | Begun | Ready, rows: list[Row]) -> None:
        match event:
            case Ready():
                self.work.was_loaded = True
                self.work.at_once = event.batch_max * event.concurrency
                if self.work.batch_limit:
                    self.session.limit(self.work.batch_limit)
            case Failure() if event.id is not None:
                self._take_failure(event.id, event, rows)
            case TimedOut() if event.id == self.probe:
                self.probe = None
                self._fail_probe(event.reason)
            case TimedOut():
                self.work.give_up_on(self.in_flight.pop(event.id), event.reason)
            case Begun():
                self.work.note_begun([self.in_flight[i] for i in event.ids if i in self.in_flight])

    def _take_failure(self, identity: str, failure: Failure, rows: list[Row]) -> None:
        if failure.final:
            self._end(failure)
        elif identity == self.probe:
            self._end_probe(failure)
        elif self.is_ending and failure.message == CANCELLED:
            self.dropped.append(self.in_flight.pop(identity))
        else:
            task = self.in_flight.pop(identity)
            if failure.kind == "device_lost":
                self.lost_device = failure.message
                if self.work.leave_to_others(task, failure.message):
                    return
            rows.append(failure_row(task, failure))

    def _end(self, failure: Failure) -> None:
        """Give the model up: the endpoint, say, does not take the key, which is no request's fault."""
        self.cut_off = self.cut_off or failure
        self.failure = self.failure or failure.message
        self.probe = None
        self.dropped += self.hand_back((failure.id or "",))

    def _to_row(self, task: Task, response: Response) -> Row:
        if response.text_sha256 is None:
            return response_row(task, response, response.text)
        data = take_spilled(self.session.spec.spill / f"{response.id}-{response.text_sha256}.txt")
        if data is None:
            return status_row(task, "lost", "the spilled text is missing or damaged")
        return response_row(task, response, self.session.redactor.redact(data).decode("utf-8", "replace"))

    def _top_up(self) -> bool:
        """Fill the window; where there are suspects, with those of one trial at a time and nothing else.

        Of a model that has never answered, others are asked before one that ended it alone: perhaps it is the model.
        Return whether anything is to be waited for.
        """
        work = self.work
        if self.probe:
            return True
        if work.is_in_doubt and (self.in_flight or self._begin_probe()):
            return True
        if self.on_trial is not None:
            return self._go_on_with_trial() or self._top_up()
        if work.suspects.trials and (work.is_proven or self.is_done or not work.suspects.trials[0].tasks[0].crashes):
            if not self.in_flight:
                self.on_trial = deque(work.suspects.begin())
                self._go_on_with_trial()
            return True
        self._fill()
        if self.in_flight or not self.is_done or work.suspects.trials:
            return True
        return bool(work.guilty) and self._begin_probe()

    def _fill(self) -> None:
        while self._room() > 0:  # what cannot be sent leaves its place to the next
            task = self.work.next_task()
            if task is None:
                self.is_done = True
                break
            self._send(task)
        self.session.flush()

    def _room(self) -> int:
        """Return how many more requests to send: as may be spent on, and a second's work where others draw as well."""
        affordable = self.work.ceiling.find_room(self.work.spent, len(self.in_flight))
        free = self.session.free if affordable is None else min(self.session.free, affordable)
        if self.work.tasks.sharers == 1:
            return free
        now = time.monotonic()
        if now - self._paced >= 1.0:
            self._pace = (self.work.answered - self._answered) / (now - self._paced)
            self._paced, self._answered = now, self.work.answered
        ahead = max(2 * self.work.at_once, int(self._pace))
        return min(free, ahead - len(self.in_flight))

    def _go_on_with_trial(self) -> bool:
        """Send what is left of the trial, or end it once all of it is answered; tell whether it goes on."""
        while self.on_trial and self.session.free > 0:
            task = self.on_trial.popleft()
            if not self._send(task):  # it came through nothing
                self.work.suspects.condemn(task)
        self.session.flush()
        if self.in_flight or self.on_trial:
            return True
        self.on_trial = None
        if size := self.work.suspects.clear():
            self.work.note_harmless(size)
            if self.work.batch_limit:
                self.session.limit(self.work.batch_limit)
        self.work.suspects.end()
        return False

    def _begin_probe(self) -> bool:
        """Ask something that the model has answered before; tell whether there is such a thing."""
        good = next(self._good_ones(), None)
        if good is None:
            return False
        self.probe = f"{PROBE}{next(self._ids)}"
        self.session.send(self._request(self.probe, good))
        self.session.flush()
        return True

    def _good_ones(self) -> Iterator[Task]:
        """Yield what the model has answered before and can be asked again: its images are what they were."""
        for _ in range(PROBES_LOOKED_AT):
            good = self.work.find_good()
            if good is None:
                return
            if not self._find_change(good):
                yield good
            self.work.drop_good()

    def _end_probe(self, failure: Failure | None) -> None:
        self.probe = None
        if failure is None or failure.kind in _PASSING:
            self.work.clear_model()
        else:
            self._fail_probe(failure.message)

    def _fail_probe(self, reason: str) -> None:
        if self.work.fail_probe():
            self.work.suspects.put_back(self.hand_back_unsent())
            self.failure = f"it no longer answers what it has answered before: {reason}"
            self.work.forgive(self.failure)

    def _send(self, task: Task) -> bool:
        """Send `task`, or write down why it cannot be; tell which."""
        if change := self._find_change(task):
            self.work.record([status_row(task, "error", change)])
            return False
        identity = str(next(self._ids))
        try:
            self.session.send(self._request(identity, task))
        except ProtocolError as error:
            self.work.record([status_row(task, "bad_input", f"the prompt cannot be sent: {error}")])
            return False
        self.in_flight[identity] = task
        return True

    def _request(self, identity: str, task: Task) -> dict[str, Any]:
        expected = task.expected
        request: dict[str, Any] = {"type": "request", "id": identity, "prompt": expected.prompt}
        if (system := self.system[task.cell]) is not None:
            request["system"] = system
        if images := expected.sent_images:
            request["images"] = [{"path": path, "sha256": digest} for path, digest in images]
        if expected.messages is not None:
            request["messages"] = expected.messages
        if expected.repeat > 1:
            request["repeat"] = expected.repeat
        return request

    def _find_change(self, task: Task) -> str | None:
        """Say which image is not what it was when the run began and images were digested."""
        for path, sha256 in task.expected.sent_images:
            try:
                mtime_ns = os.stat(path).st_mtime_ns  # noqa: PTH116 - a Path takes three times as long, of every image
            except OSError as error:
                return f"{path}: cannot be read any more: {error.strerror}"
            if mtime_ns <= self.work.began_ns or self._seen.get(path) == mtime_ns:
                continue
            if probe(Path(path)).sha256 != sha256:
                return f"{path}: was changed since the run began; the next run asks about what it is then"
            self._seen[path] = mtime_ns
        return None
