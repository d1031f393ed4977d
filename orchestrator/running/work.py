"""What one model is to be asked and what became of it, whatever happens to its workers."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from orchestrator.results.journal import Journal
from orchestrator.running.budget import Budget
from orchestrator.running.missing import Missing, Task
from orchestrator.running.rows import Row, begun_row, defect_row, status_row
from orchestrator.running.suspects import CRASHES_ALONE, Suspects

LOSSES_ALONE, LOSSES_MAX = 2, 4
COSTS_MAX, COSTS_UNPROVEN = 2, 10


@dataclass(slots=True)
class Work:
    """What is to be asked and what became of it; survives the workers. Leaving it writes the verdicts still open.

    `suspects` are asked with nothing else under way. `guilty` are those found guilty of ending workers; the verdict is
    written once the model has answered something else since the first of their crashes, for only then was it not the
    model. `costs` counts the requests that cost a worker since the last answer: after `COSTS_MAX` of them the model has
    to show with a request that it has answered before that it still can. `open` holds the status of requests whose row
    is not the last word.
    """

    missing: Missing
    journal: Journal
    run: Path
    began_ns: int
    statuses: dict[str, int]
    note: Callable[[str], None]
    failures_max: int | None = None
    again: deque[Task] = field(default_factory=deque)
    suspects: Suspects = field(default_factory=Suspects)
    guilty: list[tuple[Task, str]] = field(default_factory=list)
    costs: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    budget: Budget = field(init=False)
    batch_limit: int | None = None
    was_loaded: bool = False
    at_once: int = 1
    open: dict[str, str] = field(default_factory=dict)
    good: Task | None = None
    _answers_at_crash: dict[str, int] = field(default_factory=dict)
    _tasks: Iterator[Task] = field(init=False)

    def __enter__(self) -> Self:
        """Begin with the first task."""
        self._tasks = self.missing.tasks()
        self.budget = Budget(self.missing.total)
        return self

    def __exit__(self, *_: object) -> None:
        """Let the next run ask again whoever is guilty with no answer since: perhaps it was the model."""
        self.condemn("crashed")
        for status, n in Counter(self.open.values()).items():
            self.statuses[status] = self.statuses.get(status, 0) + n

    @property
    def is_proven(self) -> bool:
        """Tell whether the model has ever answered."""
        return self.missing.has_answers or "ok" in self.statuses

    @property
    def finished(self) -> int:
        """How many requests have their last word of this run."""
        return sum(self.statuses.values())

    @property
    def is_in_doubt(self) -> bool:
        """Tell whether the model has to prove itself before it is asked on: it answered once, but is losing workers."""
        return self.costs >= COSTS_MAX and self.is_proven

    def has_more(self) -> bool:
        """Tell whether anything is left to dispatch."""
        first = self.next_task()
        if first is not None:
            self.again.appendleft(first)
        return first is not None or bool(self.suspects.trials)

    def next_task(self) -> Task | None:
        """Return the next task to dispatch among others; what cannot be asked becomes a row on the way."""
        if self.again:
            return self.again.popleft()
        for task in self._tasks:
            if task.expected.defect is not None:
                self.record([defect_row(task)])
            elif task.losses >= LOSSES_MAX and task.status == "lost":
                self.record(
                    [status_row(task, "quarantined", f"bakeoff ended {task.losses} times while it was under way")]
                )
            elif task.crashes or (task.losses >= LOSSES_ALONE and task.status == "lost"):
                self.suspects.add(task)
            else:
                return task
        return None

    def find_good(self) -> Task | None:
        """Return a request that the model has answered."""
        if self.good is None:
            self.good = self.missing.find_answered()
        return self.good

    def note_begun(self, tasks: list[Task]) -> None:
        """Write down that `tasks` are under way, so that the next run knows if we do not come to write the outcome."""
        self._write_open([begun_row(task) for task in tasks])

    def note_fault(self, tasks: Iterable[Task], status: str, reason: str) -> None:
        """Write down that a worker was lost while `tasks` were under way; they are asked again."""
        self._write_open([status_row(task, status, reason) for task in tasks])

    def record(self, rows: list[Row]) -> None:
        """Write `rows`, each the last word on its request in this run, and count them."""
        self.journal.append(rows)
        for row in rows:
            self.statuses[row["status"]] = self.statuses.get(row["status"], 0) + 1
            if message := row.get("error_message"):
                self.reasons.setdefault(row["status"], message)
        if self.open:
            for row in rows:
                self.open.pop(row["key"], None)

    def record_answers(self, rows: list[Row]) -> None:
        """Write what a worker answered; an answer clears the model and so condemns those found guilty before."""
        self.record(rows)
        if any(row["status"] == "ok" for row in rows):
            self.clear_model()

    def clear_model(self) -> None:
        """Note that the model has just answered: whoever was found guilty before is, and the model is not."""
        self.costs = 0
        self.condemn("quarantined")

    def charge(self, task: Task, reason: str) -> None:
        """Count a crash of which `task` is the one suspect: it is tried again alone, or after the second guilty."""
        struck = task._replace(crashes=task.crashes + 1)
        key = task.expected.key
        self._answers_at_crash.setdefault(key, self.statuses.get("ok", 0))
        self.note_fault([struck], "crashed", reason)
        if struck.crashes < CRASHES_ALONE or not self.is_proven:
            self.suspects.strike(tried_again(struck))
            return
        self.costs += 1
        self.suspects.condemn(task)
        self.guilty.append((struck, reason))
        if self._answers_at_crash[key] < self.statuses.get("ok", 0):
            self.condemn("quarantined")

    def give_up_on(self, task: Task, reason: str) -> None:
        """Write down that `task` took too long and cost a worker."""
        self.costs += 1
        self.suspects.condemn(task)
        self.record([status_row(task, "timeout", reason)])

    def condemn(self, status: str, *, is_forgiven: bool = False) -> None:
        """Write the verdict on those found guilty: `quarantined` is final, `crashed` is asked again by the next run.

        Forgiven, they begin there as if they had never ended a worker.
        """
        guilty, self.guilty = self.guilty, []
        rows = [status_row(task._replace(crashes=0) if is_forgiven else task, status, why) for task, why in guilty]
        if rows:
            self.record(rows)

    def halve_batches(self, size: int) -> None:
        """Ask at most half of `size` at a time: so many together ended a worker, and each alone does no harm."""
        self.batch_limit = max(1, size // 2)
        limit = f"going on with {self.batch_limit} at a time"
        self.note(f"{size} requests at a time ended its worker, each alone does not; {limit}")

    def find_end(self) -> str | None:
        """Say why the model is to be given up though its worker lives, or None."""
        failed = self.finished - self.statuses.get("ok", 0) - self.statuses.get("refused", 0)
        if self.failures_max is not None and failed >= self.failures_max:
            reason = next((why for status, why in self.reasons.items() if status != "refused"), "")
            return f"{failed} requests failed, which are as many as allowed; the first because: {reason}"
        if not self.is_proven and self.costs > max(COSTS_UNPROVEN, 2 * self.at_once):
            return f"{self.costs} requests in a row took too long, and it has never answered"
        return self.budget.judge(self.statuses.get("quarantined", 0))

    def _write_open(self, rows: list[Row]) -> None:
        self.journal.append(rows)
        self.open.update((row["key"], row["status"]) for row in rows)


def tried_again(task: Task) -> Task:
    """Return `task` as it is asked once more."""
    return task._replace(attempts=task.attempts + 1)
