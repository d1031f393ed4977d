"""Tell how far a model has come, not more often than an eye can follow."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.running.events import Advance, ModelOutcome, Note, Notify
from orchestrator.running.missing import Missing
from orchestrator.running.tasks import Tasks
from orchestrator.running.work import Work

_NOTIFY_EVERY_S = 0.1


@dataclass(slots=True)
class Progress:
    """The progress of one model, whose workers tell theirs from threads of their own.

    The first reason why requests fail is told when it is known, unless all is over then and the outcome tells it.
    """

    missing: Missing
    outcome: ModelOutcome
    tasks: Tasks
    notify: Notify
    _works: list[Work] = field(default_factory=list)
    _stages: dict[int, str] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _start: float = field(default_factory=time.monotonic)
    _last: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, number: int, work: Work) -> Callable[[str], None]:
        """Count what comes of `work` in from now on; return what its worker, by its number, tells its stage with."""
        with self._lock:
            self._works.append(work)
        return lambda stage: self.tell(number, stage)

    def tell(self, number: int, stage: str) -> None:
        """Take the stage of a worker: empty where it answers, else what it does instead."""
        with self._lock:
            self._stages[number] = stage
            statuses = self._sum_up()
            now = time.monotonic()
            if stage and not statuses:  # what is counted is the time since it was loaded
                self._start = now
            if now - self._last < _NOTIFY_EVERY_S:
                return
            self._last = now
            if statuses.total() < self.missing.count:
                self._tell_reasons()
            shown = "" if "" in self._stages.values() else next(iter(self._stages.values()))
            ok, failed = statuses["ok"], statuses.total() - statuses["ok"]
        before = self.missing.total - self.missing.count
        own = self.outcome
        self.notify(Advance(own.model, self.missing.total, before, ok, failed, now - self._start, shown, own.setting))

    def leave(self, number: int) -> None:
        """Note that a worker has ended."""
        with self._lock:
            self._stages.pop(number, None)

    def close(self) -> None:
        """Put the sums into the outcome."""
        self.outcome.statuses.update(self._sum_up())
        for work in self._works:
            self.outcome.spent.join(work.spent)
            for status, reason in work.reasons.items():
                self.outcome.reasons.setdefault(status, reason)

    def _sum_up(self) -> Counter[str]:
        return sum((Counter(dict(work.statuses)) for work in self._works), self.tasks.count_left())

    def _tell_reasons(self) -> None:
        for work in self._works:
            for status, reason in tuple(work.reasons.items()):
                if status not in self._told:
                    self._told.add(status)
                    self.notify(Note(f"{self.outcome.label}: the first {status}: {reason}"))
