"""Let one model answer what is missing with one worker or several, which draw from one queue."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.errors import BakeoffError, DiskError
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

REPLICAS_MAX = 64
_LOOK_EVERY_S = 0.2

Start = Callable[[int, Grant], Session]
"""Starts a worker by its number, on what it was lent."""


@dataclass(slots=True)
class Team:
    """The workers of one model, up to `size` at the same time, each lent `need`; those of a lower `rank` go before.

    The others wait until the first has a place, so that no model has two before each has one; `waited_s` is how long
    the first did. Each has suspects and a budget of its own, so that the death of one is nothing to others.
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
    _failures: dict[int, BakeoffError | str] = field(default_factory=dict)
    _first: threading.Event = field(default_factory=threading.Event)

    def answer(self) -> str | None:
        """Answer what is missing; return why the model failed, or None. What comes is counted in the outcome.

        What a worker leaves that is given up is done by the others, if need be by new ones; where nothing is left in
        the end, that is told and no failure. Raises LaterError where a worker says that it may answer later.
        """
        size = min(self.size, self.missing.count, REPLICAS_MAX)
        self.tasks = Tasks(sharers=size)
        self.progress = Progress(self.missing, self.outcome, self.tasks, self.kitchen.notify)
        try:
            with open_journal(self.kitchen, self.missing, self.outcome) as journal:
                self._take_turns(journal, size)
        finally:
            self.progress.close()
        if not self._failures:
            return None
        failure = next(iter(self._failures.values()))
        if self.outcome.is_complete:
            if failure == self.kitchen.order.ceiling.reason:  # a limit that the last answer reached
                return None
            self.kitchen.tell(self.outcome.label, f"a worker of it was given up, others answered all: {failure}")
            return None
        if isinstance(failure, BakeoffError):
            raise failure
        return failure

    def _take_turns(self, journal: Journal, size: int) -> None:
        """Let workers work until none leaves anything, or all have failed."""
        numbers = list(range(1, size + 1))
        while numbers:
            failed = len(self._failures)
            self._first.clear()
            self.kitchen.crew.beside([self._make_job(number, numbers[0], journal) for number in numbers])
            is_hopeless = not self.tasks.is_proven
            if len(self._failures) == failed or is_hopeless or not self.tasks.has_more() or self.kitchen.is_over():
                return
            numbers = [number for number in numbers if number not in self._failures]

    def _make_job(self, number: int, first: int, journal: Journal) -> Callable[[], None]:
        return lambda: self._take_part(number, first, journal)

    def _take_part(self, number: int, first: int, journal: Journal) -> None:
        def wait(stage: str) -> None:
            self.progress.tell(number, stage)

        def is_over() -> bool:
            return self._is_over(is_first=number == first)

        start = time.monotonic()
        try:
            while number != first and not self._first.wait(_LOOK_EVERY_S):
                pass
            with self.kitchen.pool.lend(self.need, (number, self.rank), is_over, wait) as grant:
                if not self._first.is_set():
                    self.waited_s += time.monotonic() - start
                self._first.set()
                if grant is not None and not is_over():
                    self._answer(number, grant, journal)
        finally:
            self._first.set()
            self.progress.leave(number)

    def _is_over(self, *, is_first: bool) -> bool:
        """Tell whether a worker need not be begun any more: those beside the first, too, if nothing is left to draw."""
        if self.kitchen.is_over():
            return True
        is_hopeless = bool(self._failures) and not self.tasks.is_proven
        return not is_first and (is_hopeless or (self.tasks.is_open and not self.tasks.has_more()))

    def _answer(self, number: int, grant: Grant, journal: Journal) -> None:
        """Do a part of the work with a worker; keep in mind why it was given up, if it was."""
        failure: BakeoffError | str | None
        try:
            with open_work(self.kitchen, self.missing, self.outcome, self.tasks, journal) as work:
                on_progress = self.progress.watch(number, work)
                if not self.tasks.has_more():
                    return
                if number > 1:
                    self.kitchen.tell(self.outcome.label, f"worker {number} of it begins")
                systems = tuple(read_prompt(self.kitchen.run, cell).system for cell in self.missing.cells)
                interrupt = self.kitchen.interrupt
                failure = answer_all(work, lambda: self.start(number, grant), systems, interrupt, on_progress)
        except DiskError:
            raise
        except BakeoffError as problem:
            failure = problem
        if failure is not None:
            self._failures[number] = failure


def open_journal(kitchen: Kitchen, missing: Missing, outcome: ModelOutcome) -> Journal:
    """Return the journal of one call for a model, not opened yet; all its workers write to it.

    So that of several rows on a request the last is the last.
    """
    columns = [CellColumns(c.model, c.runner, canonical(c.params), c.prompt) for c in missing.cells]
    return Journal(journal_folder(kitchen.run, outcome.model), columns, kitchen.disk_floor_bytes)


def open_work(kitchen: Kitchen, missing: Missing, outcome: ModelOutcome, tasks: Tasks, journal: Journal) -> Work:
    """Return a part of the work on `missing`, not entered yet."""
    spent = Spent()
    kitchen.order.ceiling.watch(spent, outcome.model, canonical(missing.cells[0].params))
    return Work(
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
