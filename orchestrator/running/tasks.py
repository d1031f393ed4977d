"""The requests to make of one model, drawn by all its workers from one queue, and the sums of what came of them."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

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
                return self._returned.popleft()
            return next(self._left, None) if self._left is not None else None

    def give_back(self, tasks: Iterable[Task]) -> None:
        """Leave `tasks` to the others."""
        with self._lock:
            self._returned.extend(tasks)

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
