"""Find out which requests end their worker: suspects are asked again in smaller company, in the end alone."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.running.missing import Task

SINGLES_MAX = 32  # more suspects than these are halved first


@dataclass(slots=True)
class Group:
    """Requests under way together when a worker was lost: `size` of them, `open` those nothing is known of yet."""

    size: int
    open: set[str]
    is_poisoned: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """Requests to be asked with nothing else under way, and the groups that wait for the outcome."""

    tasks: tuple[Task, ...]
    groups: tuple[Group, ...] = ()


@dataclass(slots=True)
class Suspects:
    """The trials to hold, and what came of those that were.

    A request that was the only one under way when its worker died is tried alone again; whoever counts says when it is
    guilty. Where all of a group come through, it is the group's size that does the harm.
    """

    trials: deque[Trial] = field(default_factory=deque)
    _now: Trial | None = None

    def add(self, task: Task) -> None:
        """Have `task` tried alone, for what it did in an earlier run."""
        self.trials.append(Trial((task,)))

    @property
    def is_on(self) -> bool:
        """Tell whether a trial is on."""
        return self._now is not None

    def begin(self) -> tuple[Task, ...]:
        """Return the requests of the next trial, which is on until `end`."""
        self._now = self.trials.popleft()
        return self._now.tasks

    def end(self) -> None:
        """End the trial that is on, if one is, whatever came of it."""
        self._now = None

    def clear(self) -> int | None:
        """Note that all in the trial came through; return the size of a group that thereby is free of suspicion.

        None where no group is, or where one of its requests was found guilty.
        """
        return self._close([task.expected.key for task in self._now.tasks]) if self._now else None

    def accuse(self, suspects: Sequence[Task]) -> None:
        """Have `suspects`, who were under way together when a worker was lost, tried alone, or in halves if many."""
        group = Group(len(suspects), {task.expected.key for task in suspects})
        for part in _split(suspects):
            self.trials.append(Trial(part, (*self._groups(), group)))

    def put_back(self, waiting: Iterable[Task]) -> bool:
        """Have those of a trial that its worker did not begin tried again; tell whether a trial is on."""
        if self._now and (left := tuple(waiting)):
            self.trials.append(Trial(left, self._now.groups))
        return self._now is not None

    def strike(self, task: Task) -> None:
        """Have `task` tried alone again, which was alone under way when its worker died."""
        self.trials.append(Trial((task,), self._groups()))

    def condemn(self, task: Task) -> None:
        """Note that `task` is guilty, which explains the groups that it was in."""
        self._close([task.expected.key], is_poisoned=True)

    def _groups(self) -> tuple[Group, ...]:
        return self._now.groups if self._now else ()

    def _close(self, keys: Iterable[str], *, is_poisoned: bool = False) -> int | None:
        """Take `keys` out of the groups of the trial; return the size of the smallest that is all through unharmed."""
        through = []
        for group in self._groups():
            group.open.difference_update(keys)
            group.is_poisoned |= is_poisoned
            if not group.open and not group.is_poisoned:
                through.append(group.size)
        return min(through, default=None)


def _split(suspects: Sequence[Task]) -> list[tuple[Task, ...]]:
    if len(suspects) <= SINGLES_MAX:
        return [(task,) for task in suspects]
    middle = len(suspects) // 2
    return [tuple(suspects[:middle]), tuple(suspects[middle:])]
