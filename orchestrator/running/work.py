"""What one model is to be asked and what became of it, whatever happens to its workers."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from orchestrator.results.journal import Journal
from orchestrator.running.budget import Budget
from orchestrator.running.ceiling import Ceiling
from orchestrator.running.missing import Missing, Task
from orchestrator.running.rows import Row, begun_row, defect_row, status_row, withdrawn_row
from orchestrator.running.spent import Spent
from orchestrator.running.suspects import Suspects
from orchestrator.running.tasks import Tasks

LOSSES_ALONE = 2  # workers that a request may cost, alone under way
ENDS_ALONE, ENDS_MAX = 2, 8  # how often we may end with a request under way until it is asked alone, not at all
COSTS_MAX, COSTS_UNPROVEN, DEATHS_MAX, PROBES_MAX = 2, 10, 4, 2
CLEAN_BATCHES = 20
USELESS = {"bad_params", "rate_limited", "transient"}  # kinds of error that say nothing of the request
USELESS_UNPROVEN, USELESS_MAX = 20, 100  # how many of them in a row


class Fault(NamedTuple):
    """How a worker was lost: `crashed` or `timeout`, and the sentence on it."""

    status: str
    reason: str


@dataclass(slots=True)
class Work:
    """What is to be asked and what became of it; survives the workers. Leaving it writes the verdicts still open.

    `suspects` are asked with nothing else under way. `guilty` are those found guilty of ending workers; the verdict is
    written once the model has answered something else since the first of their crashes, for only then was it not the
    model. `costs` counts the requests given up since the last answer, `deaths` the workers lost since: after
    `COSTS_MAX` or `DEATHS_MAX` of them the model has to show with a request that it has answered before that it still
    can. `useless` counts the requests in a row that failed for another reason than their own, such as a wrong key or a
    server that is down. `open` holds the status of requests whose row is not the last word. At the `ceiling`, which
    counts what other models spend, too, nothing more is asked.
    """

    missing: Missing
    journal: Journal
    run: Path
    began_ns: int
    statuses: dict[str, int]
    note: Callable[[str], None]
    failures_max: int | None = None
    ceiling: Ceiling = field(default_factory=Ceiling)
    again: deque[Task] = field(default_factory=deque)
    suspects: Suspects = field(default_factory=Suspects)
    guilty: list[tuple[Task, Fault]] = field(default_factory=list)
    costs: int = 0
    deaths: int = 0
    answered: int = 0
    failed_probes: int = 0
    useless: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    tasks: Tasks = field(default_factory=Tasks)
    budget: Budget = field(init=False)
    batch_limit: int | None = None
    was_loaded: bool = False
    at_once: int = 1
    open: dict[str, str] = field(default_factory=dict)
    good: Task | None = None
    _answers_at_loss: dict[str, int] = field(default_factory=dict)
    _unstruck: dict[str, Task] = field(default_factory=dict)
    _harmless_at: int | None = None
    _probed: set[str] = field(default_factory=set)

    def __enter__(self) -> Self:
        """Begin with the first task."""
        self.tasks.open(self.missing, self.statuses)
        self.budget = Budget(self.missing.total)
        return self

    def __exit__(self, *_: object) -> None:
        """Let the next run ask again whoever is guilty with no answer since: perhaps it was the model.

        What was not asked is left to those who share the tasks.
        """
        self.put_off()
        self.give_back([*self.again, *(task for trial in self.suspects.trials for task in trial.tasks)])
        self.ceiling.leave(self.spent)
        for status, n in Counter(self.open.values()).items():
            self.statuses[status] = self.statuses.get(status, 0) + n

    def give_back(self, tasks: Sequence[Task]) -> None:
        """Leave `tasks` to others who draw from the same queue, if there are any."""
        keys = (task.expected.key for task in tasks)
        self.tasks.give_back(tasks, {key: self.open.pop(key) for key in keys if key in self.open})

    def leave_to_others(self, task: Task, reason: str) -> bool:
        """Have `task`, whose device was lost, asked by a worker on another one; tell whether that is to be."""
        if not self.tasks.may_pass_on(task):
            return False
        self.note_fault([task], Fault("crashed", reason))
        self.give_back([tried_again(task)])
        return True

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing is left here, nor in the queue that others may draw from as well."""
        return not (self.again or self.suspects.trials or self.guilty or self.tasks.has_more())

    @property
    def is_proven(self) -> bool:
        """Tell whether the model has ever answered."""
        return self.tasks.is_proven

    @property
    def finished(self) -> int:
        """How many requests have their last word of this run."""
        return sum(self.statuses.values())

    @property
    def is_in_doubt(self) -> bool:
        """Tell whether the model has to prove itself before it is asked on: it answered once, but is losing workers."""
        return self.is_proven and (self.costs >= COSTS_MAX or self.deaths >= DEATHS_MAX)

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
        while task := self.tasks.take():
            if task.expected.defect is not None:
                self.record([defect_row(task)])
            elif task.losses >= ENDS_MAX and task.status == "lost":
                self.record(
                    [status_row(task, "quarantined", f"bakeoff ended {task.losses} times while it was under way")]
                )
            elif task.crashes or task.losses >= ENDS_ALONE:
                self.suspects.add(task)
            else:
                return task
        return None

    def find_good(self) -> Task | None:
        """Return a request that the model has answered, if it can another one than those tried in vain."""
        if self.good is None:
            self.good = self.missing.find_answered(self._probed) or self.missing.find_answered(frozenset())
        return self.good

    def drop_good(self) -> None:
        """Have another request tried the next time."""
        if self.good is not None:
            self._probed.add(self.good.expected.key)
            self.good = None

    def fail_probe(self) -> bool:
        """Note that the model did not answer what it has answered before; tell whether that is the model's end."""
        self.failed_probes += 1
        self.drop_good()
        return self.failed_probes >= PROBES_MAX

    def note_begun(self, tasks: list[Task]) -> None:
        """Write down that `tasks` are under way, so that the next run knows if we do not come to write the outcome."""
        self._write_open([begun_row(task) for task in tasks])

    def note_fault(self, tasks: Iterable[Task], fault: Fault) -> None:
        """Write down that a worker was lost while `tasks` were under way; they are asked again."""
        self._write_open([status_row(task, *fault) for task in tasks])

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

    def withdraw(self, tasks: Iterable[Task], reason: str) -> None:
        """Leave `tasks` to the next run, uncounted: what was never asked before has no row, the rest its old counts."""
        rows = [withdrawn_row(task, reason) for task in tasks]
        if rows:
            self.journal.append(rows)
        for row in rows:
            self.open.pop(row["key"], None)

    def record_answers(self, rows: list[Row]) -> None:
        """Write what a worker answered; an answer clears the model and so condemns those found guilty before."""
        was_proven = self.is_proven
        self.record(rows)
        self.answered += len(rows)
        for row in rows:
            self.useless = self.useless + 1 if row.get("error_kind") in USELESS else 0
            self.spent.add(row)
        if any(row["status"] == "ok" for row in rows):
            self.clear_model()
            if not was_proven:
                self.budget.recover()

    def clear_model(self) -> None:
        """Note that the model has just answered: whoever was found guilty before is, and the model is not."""
        self.costs = self.deaths = self.failed_probes = 0
        guilty, self.guilty = self.guilty, []
        if guilty:
            self.record([status_row(task, "quarantined", _sentence(fault)) for task, fault in guilty])

    def put_off(self) -> None:
        """Let the next run ask whoever is guilty again."""
        guilty, self.guilty = self.guilty, []
        if guilty:
            self.record([status_row(task, *fault) for task, fault in guilty])

    def forgive(self, reason: str) -> None:
        """Let the next run ask all that were struck as if they had never cost a worker: it was the model, not they."""
        guilty, self.guilty = self.guilty, []
        again = [task._replace(attempts=task.attempts - 1) for trial in self.suspects.trials for task in trial.tasks]
        fault = Fault("crashed", f"the model failed: {reason}")
        struck = [(task, fault) for task in again if task.expected.key in self._unstruck]
        rows = [
            status_row(task._replace(crashes=self._unstruck[task.expected.key].crashes), *fault)
            for task, fault in (*guilty, *struck)
        ]
        if rows:
            self.record(rows)

    def charge(self, task: Task, fault: Fault) -> None:
        """Count a lost worker of which `task` is the one suspect: it is tried alone again, then guilty."""
        struck = task._replace(crashes=task.crashes + 1)
        key = task.expected.key
        self._answers_at_loss.setdefault(key, self.statuses.get("ok", 0))
        self._unstruck.setdefault(key, task)
        self.note_fault([struck], fault)
        if struck.crashes < LOSSES_ALONE or not self.is_proven:
            self.suspects.strike(tried_again(struck))
            return
        self.costs += 1
        self.suspects.condemn(task)
        self.guilty.append((struck, fault))
        if self._answers_at_loss[key] < self.statuses.get("ok", 0):
            self.clear_model()

    def give_up_on(self, task: Task, reason: str) -> None:
        """Write down that `task` took too long, though its worker goes on."""
        self.costs += 1
        self.suspects.condemn(task)
        self.record([status_row(task, "timeout", reason)])

    def note_harmless(self, size: int) -> None:
        """Note that of `size` requests, which together ended a worker, each alone did no harm.

        The second time within `CLEAN_BATCHES` batches it is their number, and from now on half as many are asked at a
        time; once, the worker may have been killed from outside.
        """
        before, self._harmless_at = self._harmless_at, self.answered
        if before is None or self.answered - before > CLEAN_BATCHES * size:
            return
        limit = max(1, size // 2)
        if self.batch_limit is None or limit < self.batch_limit:
            self.batch_limit = limit
            self.note(
                f"{size} requests at a time ended its worker, each alone does not; going on with {limit} at a time"
            )

    def find_end(self) -> str | None:
        """Say why the model is to be given up though its worker lives, or None."""
        if stopped := self.ceiling.find_end():
            return stopped
        failed = self.tasks.count_failed()
        if self.failures_max is not None and failed >= self.failures_max:
            reason = next((f", the first because: {why}" for s, why in self.reasons.items() if s != "refused"), "")
            return f"{failed} requests failed (--max-failures {self.failures_max}){reason}"
        if self.useless >= (USELESS_MAX if self.is_proven else USELESS_UNPROVEN):
            return f"{self.useless} requests in a row got no answer, the first error was: {self.reasons['error']}"
        if not self.is_proven and self.costs > max(COSTS_UNPROVEN, 2 * self.at_once):
            return f"{self.costs} requests in a row took too long, and it has never answered"
        return self.budget.judge(self.tasks.count("quarantined"))

    def _write_open(self, rows: list[Row]) -> None:
        self.journal.append(rows)
        self.open.update((row["key"], row["status"]) for row in rows)


def _sentence(fault: Fault) -> str:
    remedy = "; to give it longer, raise item_timeout_s and run again with --retry-failed"
    return fault.reason + (remedy if fault.status == "timeout" else "")


def tried_again(task: Task) -> Task:
    """Return `task` as it is asked once more."""
    return task._replace(attempts=task.attempts + 1)
