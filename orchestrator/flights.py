"""What was sent to a worker and is not answered yet, and until when each request may take."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

_UNKNOWN = object()


@dataclass(slots=True)
class Flights:
    """The requests in flight; times are those of the monotonic clock.

    `deadlines` has what was sent, with None until the worker says that it began, `cancelled` what was taken back and
    when the worker must have noticed. A stall is counted from the latest answer, or from the first request after it.
    """

    item_timeout_s: float
    deadlines: dict[str, float | None] = field(default_factory=dict)
    cancelled: dict[str, float] = field(default_factory=dict)
    _idle_since: float = field(default_factory=time.monotonic)

    def send(self, identity: str) -> None:
        """Add a request."""
        if not self.deadlines:
            self._idle_since = time.monotonic()
        self.deadlines[identity] = None

    def start(self, identities: Iterable[str]) -> list[str]:
        """Set the deadline of what is begun, and return that.

        Saying so again moves none, or a worker could put it off for ever.
        """
        begun = [each for each in dict.fromkeys(identities) if self.deadlines.get(each, _UNKNOWN) is None]
        deadline = time.monotonic() + self.item_timeout_s * len(begun)
        self.deadlines.update(dict.fromkeys(begun, deadline))
        return begun

    def land(self, identity: str) -> bool:
        """Take an answered request out; tell whether it was in flight."""
        if self.deadlines.pop(identity, _UNKNOWN) is not _UNKNOWN:
            self._idle_since = time.monotonic()
            return True
        return False

    def land_late(self, identity: str) -> bool:
        """Take out what is answered after it was taken back; tell whether it was."""
        if self.cancelled.pop(identity, None) is not None:
            self._idle_since = time.monotonic()
            return True
        return False

    def take_back(self, identity: str, patience_s: float) -> None:
        """Give a request up; the worker is expected to be done with it within `patience_s`."""
        del self.deadlines[identity]
        self.cancelled[identity] = time.monotonic() + patience_s

    def find_late(self, now: float) -> tuple[str, ...]:
        """Return what is under way for too long."""
        return tuple(i for i, deadline in self.deadlines.items() if deadline is not None and deadline < now)

    def find_stuck(self, now: float) -> tuple[str, ...]:
        """Return what was taken back and is worked on all the same."""
        return tuple(i for i, deadline in self.cancelled.items() if deadline < now)

    def is_stalled(self, now: float) -> bool:
        """Tell whether requests wait and the worker, which works on none, has not begun one for too long."""
        if not self.deadlines or self.cancelled or now - self._idle_since < self.item_timeout_s:
            return False
        return all(deadline is None for deadline in self.deadlines.values())

    def end(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Take all out: return what was under way, and what waited."""
        suspects = tuple(i for i, deadline in self.deadlines.items() if deadline is not None)
        waiting = tuple(i for i, deadline in self.deadlines.items() if deadline is None)
        self.deadlines.clear()
        return suspects, waiting
