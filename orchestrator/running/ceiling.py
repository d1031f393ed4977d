"""What all models of a call together may cost, and how long they may take."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.running.spent import Spent

FIRST_MAX = 4  # requests under way before one has told what it costs; as many more for each that has
SURE_MAX = 8  # requests that are sent where the rest of the money is for no more


@dataclass(slots=True)
class _Purse:
    """What one model is asked with the same parameters, by all of its workers.

    `mean_before` are the US dollars that an answer is said to cost, before one has come.
    """

    model: str
    mean_before: float | None
    spents: list[Spent] = field(default_factory=list)
    under_way: dict[int, int] = field(default_factory=dict)  # requests, by who asks

    @property
    def answers(self) -> int:
        return sum(spent.answers for spent in self.spents)

    @property
    def mean(self) -> float:
        """What an answer costs in US dollars, 0.0 where nothing tells."""
        if with_cost := sum(spent.with_cost for spent in self.spents):
            return sum(spent.cost for spent in self.spents) / with_cost
        return 0.0 if self.answers else self.mean_before or 0.0

    @property
    def count(self) -> int:
        """How many requests are under way."""
        return sum(self.under_way.values())


@dataclass(slots=True)
class Ceiling:
    """A limit in US dollars, `cost_before` counted in, and one in seconds from now; None: there is none.

    Answers that tell no cost are not counted. `means` holds what an answer cost before, by model and parameters
    (canonical). Once a limit was reached, `reason` is the sentence on it.
    """

    cost_max: float | None = None
    time_max_s: float | None = None
    cost_before: float = 0.0
    means: Mapping[tuple[str, str], float] = field(default_factory=dict)
    reason: str | None = None
    _began: float = field(default_factory=time.monotonic)
    _spent: list[Spent] = field(default_factory=list)
    _purses: dict[tuple[str, str], _Purse] = field(default_factory=dict)
    _owners: dict[int, _Purse] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cost(self) -> float:
        """What was spent, in US dollars, that of before included."""
        return self.cost_before + sum(spent.cost for spent in self._spent)

    def watch(self, spent: Spent, model: str, params: str) -> None:
        """Count from now on what comes into `spent`, from whichever thread, of `model` asked with `params`."""
        with self._lock:
            purse = self._purses.get((model, params))
            if purse is None:
                purse = self._purses[model, params] = _Purse(model, self._foresee(model, params))
            purse.spents.append(spent)
            self._owners[id(spent)] = purse
            self._spent.append(spent)

    def _foresee(self, model: str, params: str) -> float | None:
        """Return what an answer will cost: what it did before, or at most did with other parameters in this call."""
        if (model, params) in self.means:
            return self.means[model, params]
        return max((purse.mean for purse in self._purses.values() if purse.model == model), default=0.0) or None

    def find_room(self, spent: Spent, under_way: int) -> int | None:
        """Return how many more requests may be sent by who counts in `spent` with so many `under_way`; None: any.

        What is under way is taken to cost what answers did in the mean, so that the limit is passed by about one. Few
        are sent while few answers have told it. Of answers that tell no cost any number may be asked. Where there is
        room, one request is taken to be sent at once.
        """
        if self.cost_max is None:
            return None
        with self._lock:
            purse = self._owners[id(spent)]
            purse.under_way[id(spent)] = under_way
            room = self._measure(purse, self.cost_max - self.cost)
            purse.under_way[id(spent)] += room != 0
        return room

    def _measure(self, purse: _Purse, left: float) -> int | None:
        """Return the room of those who share `purse`, where US dollars `left` are not spent yet."""
        mean, answers = purse.mean, purse.answers
        others = sum(each.count * each.mean for each in self._purses.values() if each.count and each is not purse)
        if not mean:
            return None if answers else self._measure_unknown(purse, left - others)
        affordable = int((left - others) / mean)
        ahead = max(int((left - 2 * others) / mean / 2), min(affordable, SURE_MAX))  # of all together half of it
        ahead = min(ahead, FIRST_MAX * (1 + answers))  # the mean of the first few may be far off
        return max(ahead - purse.count, 0 if purse.count or others else 1)

    def _measure_unknown(self, purse: _Purse, left: float) -> int:
        """Return the room where nothing tells what an answer costs: few for all such models, one of each at least."""
        if left <= 0:
            return 0
        unknown = [each for each in self._purses.values() if each.count and not each.mean and not each.answers]
        is_asked = any(each.model == purse.model for each in unknown)
        return max(FIRST_MAX - sum(each.count for each in unknown), 0 if is_asked else 1)

    def leave(self, spent: Spent) -> None:
        """Note that who counts in `spent` has nothing under way any more."""
        with self._lock:
            if purse := self._owners.get(id(spent)):
                purse.under_way.pop(id(spent), None)

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
