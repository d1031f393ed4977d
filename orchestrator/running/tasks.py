"""The requests to make of one model, drawn by all its workers from one queue, and the sums of what came of them."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.running.budget import IN_A_ROW
from orchestrator.running.missing import Missing, Task

_NO_FAILURE = {"ok", "refused"}


@dataclass(slots=True)
class Tasks:
    """A queue that several works of one model draw from: nobody has a share of his own, so that none waits for another.

    To be used from any thread. `sharers` is how many there are to be.
    """

    sharers: int = 1
    _left: Iterator[Task] | None = None
    _returned: deque[Task] = field(default_factory=deque)
    _left_as: dict[str, str] = field(default_factory=dict)
    _passed_on: Counter[str] = field(default_factory=Counter)
    _had_answers: bool = False
    _statuses: list[Mapping[str, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, missing: Missing, statuses: Mapping[str, int]) -> None:
        """Have `missing` drawn, by whoever is the first, and count the `statuses` of one work from now on."""
        with self._lock:
            self._statuses.append(statuses)
            if self._left is None:
                self._left, self._had_answers = missing.tasks(), missing.has_answers

    def take(self) -> Task | None:
        """Return the next task, None where there is none at the moment."""
        with self._lock:
            if self._returned:
                task = self._returned.popleft()
                self._left_as.pop(task.expected.key, None)
                return task
            return next(self._left, None) if self._left is not None else None

    def give_back(self, tasks: Iterable[Task], statuses: Mapping[str, str]) -> None:
        """Leave `tasks` to the others, with the status of the last row of some of them, by key."""
        with self._lock:
            self._returned.extend(tasks)
            self._left_as.update(statuses)

    def may_pass_on(self, task: Task) -> bool:
        """Tell whether others may be asked what a worker could not answer, as often as one is started in a row."""
        with self._lock:
            self._passed_on[task.expected.key] += 1
            return self.sharers > 1 and self._passed_on[task.expected.key] <= IN_A_ROW

    def count_left(self) -> Counter[str]:
        """Return how many of what was given back, and nobody has drawn again, have a row with which status."""
        with self._lock:
            return Counter(self._left_as.values())

    def has_more(self) -> bool:
        """Tell whether there is something to draw."""
        with self._lock:
            if not self._returned and self._left is not None and (task := next(self._left, None)):
                self._returned.append(task)
            return bool(self._returned)

    @property
    def is_open(self) -> bool:
        """Tell whether somebody draws already."""
        return self._left is not None

    @property
    def is_proven(self) -> bool:
        """Tell whether the model has ever answered."""
        return self._had_answers or any("ok" in statuses for statuses in self._statuses)

    def count(self, status: str) -> int:
        """Return how many requests came to `status`."""
        return sum(statuses.get(status, 0) for statuses in self._statuses)

    def count_failed(self) -> int:
        """Return how many requests came to no answer, refusals not counted."""
        return sum(n for each in self._statuses for status, n in tuple(each.items()) if status not in _NO_FAILURE)
