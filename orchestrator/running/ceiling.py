"""What all models of a call together may cost, and how long they may take."""

import threading
import time
from dataclasses import dataclass, field

from orchestrator.running.spent import Spent

FIRST_MAX = 16  # requests of a worker before one has told what it costs
SURE_MAX = 8  # requests that are sent where the rest of the money is for no more


@dataclass(slots=True)
class Ceiling:
    """A limit in US dollars, `cost_before` counted in, and one in seconds from now; None: there is none.

    Answers that tell no cost are not counted. Once a limit was reached, `reason` is the sentence on it.
    """

    cost_max: float | None = None
    time_max_s: float | None = None
    cost_before: float = 0.0
    reason: str | None = None
    _began: float = field(default_factory=time.monotonic)
    _spent: list[Spent] = field(default_factory=list)
    _under_way: dict[int, float] = field(default_factory=dict)  # in US dollars, by who asks
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cost(self) -> float:
        """What was spent, in US dollars, that of before included."""
        return self.cost_before + sum(spent.cost for spent in self._spent)

    def watch(self, spent: Spent) -> None:
        """Count from now on what comes into `spent`, from whichever thread."""
        self._spent.append(spent)

    def find_room(self, spent: Spent, under_way: int) -> int | None:
        """Return how many more requests may be sent by who counts in `spent` with so many `under_way`; None: any.

        What is under way is taken to cost what answers did in the mean, so that the limit is passed by about one. While
        no answer has come, a few requests find out; of answers that tell no cost any number may be asked.
        """
        if self.cost_max is None:
            return None
        mean = spent.cost / spent.with_cost if spent.with_cost else 0.0
        with self._lock:
            self._under_way[id(spent)] = under_way * mean
            others = sum(money for who, money in self._under_way.items() if who != id(spent))
        if not spent.answers:
            return max(0, FIRST_MAX - under_way)
        if not mean:
            return None
        affordable = int((self.cost_max - self.cost - others) / mean)
        ahead = max(affordable // 2, min(affordable, SURE_MAX))  # the mean of the first few may be far off
        return max(ahead - under_way, 0 if under_way or others else 1)

    def leave(self, spent: Spent) -> None:
        """Note that who counts in `spent` has nothing under way any more."""
        with self._lock:
            self._under_way.pop(id(spent), None)

    def describe_end(self) -> str | None:
        """Say which limit was reached, with the sum that it has come to: what was under way is paid for, too."""
        if self.cost_max is None or not (self.reason or "").startswith("max_cost"):
            return self.reason
        return (
            f"max_cost is reached: ${self.cost:,.4g} of ${self.cost_max:,.4g} are spent, "
            "what was under way at the limit included"
        )

    def find_end(self) -> str | None:
        """Say which limit was reached, from then on the same, or None."""
        if self.reason is None:
            if self.cost_max is not None and self.cost >= self.cost_max:
                self.reason = f"max_cost is reached: ${self.cost:,.4g} of ${self.cost_max:,.4g} are spent"
            elif self.time_max_s is not None and (took := time.monotonic() - self._began) >= self.time_max_s:
                self.reason = f"max_time is reached: {took:,.0f} s of {self.time_max_s:,.0f} s are over"
        return self.reason
