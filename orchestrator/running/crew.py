"""Threads that work side by side, and the main thread, which does what it alone may do for them."""

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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

    _errands: "queue.SimpleQueue[Callable[[], None]]" = field(default_factory=queue.SimpleQueue)

    def work(
        self,
        jobs: Sequence[Callable[[], None]],
        at_once: int,
        on_tick: Callable[[], None],
        on_problem: Callable[[], None],
    ) -> None:
        """Do `jobs`, begun in their order and at most `at_once` at a time; raise what the first raised that raised.

        When one does, `on_problem` tells the others to end, and those not begun are left out. `on_tick` is called ten
        times a second, both by this thread. None is at work any more when this returns or raises.
        """
        with ThreadPoolExecutor(at_once) as threads:
            futures = [threads.submit(job) for job in jobs]
            for future in futures:
                future.add_done_callback(lambda _: self._errands.put(_nothing))  # so that this thread looks at once
            try:
                self._attend(futures, on_tick)
            finally:
                if not all(future.done() for future in futures):
                    on_problem()
                    for future in futures:
                        future.cancel()
                    while not all(future.done() for future in futures):
                        self._do_errand()
        for future in futures:
            if not future.cancelled():
                future.result()

    def beside(self, jobs: Sequence[Callable[[], None]]) -> None:
        """Do `jobs` at the same time; raise what the first raised that raised, when all have ended.

        To be called from a job: the main thread goes on with errands.
        """
        with ThreadPoolExecutor(len(jobs)) as threads:
            futures = [threads.submit(job) for job in jobs]
        for future in futures:
            future.result()

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

    def _attend(self, futures: Sequence["Future[None]"], on_tick: Callable[[], None]) -> None:
        """Do errands until all have ended, or one has raised."""
        while not all(future.done() for future in futures):
            self._do_errand()
            on_tick()
            if any(future.done() and future.exception() for future in futures):
                return

    def _do_errand(self) -> None:
        """Do what is asked for within a tick."""
        try:
            errand = self._errands.get(timeout=_TICK_S)
        except queue.Empty:
            return
        errand()


def _nothing() -> None:
    """Do nothing: it is reason enough to look."""
