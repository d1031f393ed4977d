"""Say when so many workers were lost that the model is to blame, and not what it was asked."""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

IN_A_ROW = 3
IN_A_WHILE, WHILE_S = 5, 180.0
ANSWERS_TO_RECOVER = 10
CRASHES_MIN, CRASHES_SHARE = 50, 0.1
QUARANTINED_MIN, QUARANTINED_SHARE = 10, 0.02

Loss = Literal["explained", "batch", "unexplained"]


@dataclass(slots=True)
class Budget:
    """Two budgets of lost workers for one model with `total` requests.

    A loss that some request may explain counts to `crashes`, of which a share of all requests is allowed. One that
    none explains (it died loading, or idle, or has never answered) may happen neither `IN_A_ROW` times without
    `ANSWERS_TO_RECOVER` answers between, nor more than `IN_A_WHILE` times within `WHILE_S` seconds. A `batch` lost
    before the first answer may have had one bad request in it: it counts to the latter alone.
    """

    total: int
    crashes: int = 0
    in_a_row: int = 0
    _times: deque[float] = field(default_factory=deque)
    _answered: int = 0

    def spend(self, loss: Loss, answered: int) -> str | None:
        """Count a lost worker, `answered` requests being answered; say why it was one too many, or None."""
        if answered - self._answered >= ANSWERS_TO_RECOVER:
            self.in_a_row = 0
        self._answered = answered
        if loss == "explained":
            self.crashes += 1
            allowed = max(CRASHES_MIN, int(CRASHES_SHARE * self.total))
            return f"its requests ended {self.crashes} workers" if self.crashes > allowed else None
        now = time.monotonic()
        self.in_a_row += loss == "unexplained"
        self._times.append(now)
        while now - self._times[0] > WHILE_S:
            self._times.popleft()
        if self.in_a_row >= IN_A_ROW:
            return f"its worker died {self.in_a_row} times in a row"
        if len(self._times) > IN_A_WHILE:
            return f"its worker died {len(self._times)} times in {WHILE_S:g} s, and no request explains it"
        return None

    def recover(self) -> None:
        """Forget a row of losses: they came before the model's first answer, and now there is one."""
        self.in_a_row = 0

    def judge(self, quarantined: int) -> str | None:
        """Say why `quarantined` requests are too many for it to be their fault, or None."""
        allowed = max(QUARANTINED_MIN, int(QUARANTINED_SHARE * self.total))
        return f"{quarantined} requests ended its worker" if quarantined > allowed else None
