"""Let one model answer what is missing with one worker or several, which draw from one queue."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from orchestrator.identity import canonical
from orchestrator.results.expected import read_prompt
from orchestrator.results.journal import CellColumns, Journal
from orchestrator.results.layout import journal_folder
from orchestrator.running.events import ModelOutcome
from orchestrator.running.kitchen import Kitchen
from orchestrator.running.machine import Need
from orchestrator.running.missing import Missing
from orchestrator.running.pool import Grant
from orchestrator.running.progress import Progress
from orchestrator.running.spent import Spent
from orchestrator.running.supervise import answer_all
from orchestrator.running.tasks import Tasks
from orchestrator.running.work import Work
from orchestrator.session import Session

Start = Callable[[int, Grant], Session]
"""Starts a worker by its number, on what it was lent."""


@dataclass(slots=True)
class Team:
    """The workers of one model, up to `size` at the same time, each lent `need`; those of a lower `rank` go before.

    The others wait until the first has a place, so that no model has two before each has one; `waited_s` is how long
    the first did. Each has a journal, suspects and a budget of its own, so that the death of one is nothing to others.
    """

    kitchen: Kitchen
    missing: Missing
    outcome: ModelOutcome
    start: Start
    need: Need
    size: int
    rank: int
    tasks: Tasks = field(init=False)
    progress: Progress = field(init=False)
    waited_s: float = 0.0
    _failures: list[str] = field(default_factory=list)
    _first: threading.Event = field(default_factory=threading.Event)

    def answer(self) -> str | None:
        """Answer what is missing; return why the model failed, or None. What comes is counted in the outcome.

        Where a worker fails and others answer all the same, that is told and no failure.
        """
        size = min(self.size, self.missing.count)
        self.tasks = Tasks(sharers=size)
        self.progress = Progress(self.missing, self.outcome, self.kitchen.notify)
        try:
            self.kitchen.crew.beside([self._make_job(number) for number in range(1, size + 1)])
        finally:
            self.progress.close()
        if not self._failures:
            return None
        if self.outcome.is_complete:
            self.kitchen.tell(
                self.outcome.label, f"a worker of it was given up, others answered all: {self._failures[0]}"
            )
            return None
        return self._failures[0]

    def _make_job(self, number: int) -> Callable[[], None]:
        return lambda: self._take_part(number)

    def _take_part(self, number: int) -> None:
        def wait(stage: str) -> None:
            self.progress.tell(number, stage)

        if number > 1:
            self._first.wait()
        start = time.monotonic()
        try:
            with self.kitchen.pool.lend(self.need, (number, self.rank), lambda: self._is_over(number), wait) as grant:
                if number == 1:
                    self.waited_s = time.monotonic() - start
                self._first.set()
                if grant is not None and not self._is_over(number):
                    self._answer(number, grant)
        finally:
            self._first.set()
            self.progress.leave(number)

    def _is_over(self, number: int) -> bool:
        """Tell whether a worker need not be begun any more: those beside the first, too, if nothing is left to draw."""
        if self.kitchen.is_over():
            return True
        is_hopeless = bool(self._failures) and not self.tasks.is_proven
        return number > 1 and (is_hopeless or (self.tasks.is_open and not self.tasks.has_more()))

    def _answer(self, number: int, grant: Grant) -> None:
        with ExitStack() as stack:
            work = open_work(self.kitchen, self.missing, self.outcome, self.tasks, stack)
            on_progress = self.progress.watch(number, work)
            if not work.has_more():
                return
            systems = tuple(read_prompt(self.kitchen.run, cell).system for cell in self.missing.cells)
            interrupt = self.kitchen.interrupt
            failure = answer_all(work, lambda: self.start(number, grant), systems, interrupt, on_progress)
        if failure:
            self._failures.append(failure)


def open_work(kitchen: Kitchen, missing: Missing, outcome: ModelOutcome, tasks: Tasks, stack: ExitStack) -> Work:
    """Return a part of the work on `missing`, with a journal of its own, both open as long as `stack` is."""
    columns = [CellColumns(c.model, c.runner, canonical(c.params), c.prompt) for c in missing.cells]
    journal = stack.enter_context(
        Journal(journal_folder(kitchen.run, outcome.model), columns, kitchen.disk_floor_bytes)
    )
    spent = Spent()
    kitchen.order.ceiling.watch(spent)
    work = Work(
        missing,
        journal,
        kitchen.run,
        kitchen.began_ns,
        {},
        note=lambda text: kitchen.tell(outcome.label, text),
        failures_max=kitchen.order.max_failures,
        ceiling=kitchen.order.ceiling,
        spent=spent,
        tasks=tasks,
    )
    return stack.enter_context(work)
