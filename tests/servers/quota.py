"""Limits of a key's requests: so many a minute, so many tokens a minute, so many at the same time."""

import math
import time
from collections import deque
from dataclasses import dataclass, field

JUST_AFTER_S = 0.25  # what was on its way when a pause was announced


@dataclass(slots=True)
class Quota:
    """One key's limits and what was made of them; a sliding window of `minute_s`, None is no limit."""

    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None
    minute_s: float = 60.0
    _admitted: deque[tuple[float, int]] = field(default_factory=deque)
    _tokens: int = 0
    _pause: tuple[float, float] = (0.0, 0.0)
    first: float = 0.0
    last: float = 0.0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))
    now: int = 0

    def admit(self, tokens: int) -> float | None:
        """Return None where the request may pass, else after how many seconds one may (0: nobody knows)."""
        time_s = time.monotonic()
        self.first, self.last = self.first or time_s, time_s
        self._note_pause(time_s)
        if self.concurrency and self.now >= self.concurrency:
            self.counts["limited"] += 1
            return 0.0
        wait_s = self._find_wait(time_s, tokens)
        if wait_s is None:
            self._admitted.append((time_s, tokens))
            self._tokens += tokens
            self.counts["admitted"] += 1
            return None
        self.counts["limited"] += 1
        return wait_s

    def announce(self, wait_s: float) -> None:
        """Remember that callers were told to wait so long."""
        time_s = time.monotonic()
        if time_s >= self._pause[1]:
            self._pause = (time_s, time_s + wait_s)
            self.counts["pauses"] += 1
        self._pause = (self._pause[0], max(self._pause[1], time_s + wait_s))

    def begin(self) -> None:
        self.now += 1
        self.counts["concurrent_peak"] = max(self.counts["concurrent_peak"], self.now)

    def end(self) -> None:
        self.now -= 1

    def figures(self) -> dict[str, float]:
        """Return the counts, and the share of the limit that was used from the first request to the last."""
        elapsed_s = self.last - self.first
        best = self.rpm * (math.floor(elapsed_s / self.minute_s) + 1) if self.rpm else 0
        steady = self.rpm * elapsed_s / self.minute_s if self.rpm else 0
        share = {"share": self.counts["admitted"] / best} if best else {}
        if steady:
            share["steady_share"] = self.counts["admitted"] / steady
        return {**self.counts, "elapsed_s": elapsed_s, **share}

    def remaining(self) -> int:
        return int((self.rpm or 0) - len(self._admitted))

    def _note_pause(self, time_s: float) -> None:
        began, until = self._pause
        if time_s < until:
            self.counts["just_after" if time_s < began + JUST_AFTER_S else "during_pause"] += 1

    def _find_wait(self, time_s: float, tokens: int) -> float | None:
        while self._admitted and self._admitted[0][0] <= time_s - self.minute_s:
            self._tokens -= self._admitted.popleft()[1]
        is_full = self.rpm is not None and len(self._admitted) + 1 > self.rpm
        is_full |= self.tpm is not None and self._tokens + tokens > self.tpm
        if not is_full:
            return None
        return max(self._admitted[0][0] + self.minute_s - time_s, 0.001) if self._admitted else self.minute_s


_COUNTS = ("admitted", "limited", "pauses", "just_after", "during_pause", "concurrent_peak")
