"""Threads that work side by side, and the main thread, which does what it alone may do for them."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

_T = TypeVar("_T")
_TICK_S = 0.1


@dataclass(slots=True)
class Crew:
    """Runs jobs in threads of their own while the thread that called `work` does their errands.

    A worker process has to be started by a thread that outlives it, since it is told to die with the one that started
    it: that is such an errand.
    """

    _errands: "queue.SimpleQueue[Callable[[], None] | None]" = field(default_factory=queue.SimpleQueue)
    _problems: list[BaseException] = field(default_factory=list)

    def work(
        self,
        jobs: Sequence[Callable[[], None]],
        at_once: int,
        on_tick: Callable[[], None],
        on_problem: Callable[[], None],
    ) -> None:
        """Do `jobs`, begun in their order and at most `at_once` at a time; raise what the first raised that raised.

        `on_problem` is called from its thread when one does, so that the others can be told to end; those not begun are
        left out then. `on_tick` is called by this thread, ten times a second.
        """
        left = deque(jobs)
        threads = [
            threading.Thread(target=self._work_off, args=(left, on_problem), daemon=True)
            for _ in range(min(at_once, len(left)))
        ]
        for thread in threads:
            thread.start()
        working = len(threads)
        try:
            while working:
                working -= self._do_errand()
                on_tick()
        except BaseException:
            on_problem()
            while working:  # nobody is to work on when this returns
                working -= self._do_errand()
            raise
        if self._problems:
            raise self._problems[0]

    def beside(self, jobs: Sequence[Callable[[], None]]) -> None:
        """Do `jobs` at the same time, the first in this thread; raise what the first raised that raised.

        To be called from a job: the main thread goes on with errands.
        """
        problems: list[BaseException] = []

        def attempt(job: Callable[[], None]) -> None:
            try:
                job()
            except BaseException as problem:  # noqa: BLE001 - it is raised by the thread that waits
                problems.append(problem)

        threads = [threading.Thread(target=attempt, args=(job,), daemon=True) for job in jobs[1:]]
        for thread in threads:
            thread.start()
        attempt(jobs[0])
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]

    def call(self, errand: Callable[[], _T]) -> _T:
        """Have the main thread do `errand`, and return or raise what came of it."""
        future: Future[Any] = Future()

        def fulfil() -> None:
            try:
                future.set_result(errand())
            except BaseException as problem:  # noqa: BLE001 - it is raised by the thread that waits
                future.set_exception(problem)

        self._errands.put(fulfil)
        result: _T = future.result()
        return result

    def _work_off(self, left: deque[Callable[[], None]], on_problem: Callable[[], None]) -> None:
        try:
            while not self._problems and (job := _take(left)):
                job()
        except BaseException as problem:  # noqa: BLE001 - it is raised by the main thread
            self._problems.append(problem)
            on_problem()
        finally:
            self._errands.put(None)

    def _do_errand(self) -> bool:
        """Do what is asked for within a tick; tell whether it was that a thread has ended."""
        try:
            errand = self._errands.get(timeout=_TICK_S)
        except queue.Empty:
            return False
        if errand is None:
            return True
        errand()
        return False


def _take(left: deque[Callable[[], None]]) -> Callable[[], None] | None:
    with suppress(IndexError):
        return left.popleft()
    return None
