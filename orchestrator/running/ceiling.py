"""What all models of a call together may cost, and how long they may take."""

import time
from dataclasses import dataclass, field

from orchestrator.running.spent import Spent


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

    @property
    def cost(self) -> float:
        """What was spent, in US dollars, that of before included."""
        return self.cost_before + sum(spent.cost for spent in self._spent)

    def watch(self, spent: Spent) -> None:
        """Count from now on what comes into `spent`, from whichever thread."""
        self._spent.append(spent)

    def find_end(self) -> str | None:
        """Say which limit was reached, from then on the same, or None."""
        if self.reason is None:
            if self.cost_max is not None and self.cost >= self.cost_max:
                self.reason = f"max_cost is reached: ${self.cost:,.4g} of ${self.cost_max:,.4g} are spent"
            elif self.time_max_s is not None and (took := time.monotonic() - self._began) >= self.time_max_s:
                self.reason = f"max_time is reached: {took:,.0f} s of {self.time_max_s:,.0f} s are over"
        return self.reason
