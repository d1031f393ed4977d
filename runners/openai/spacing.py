"""How far apart requests begin once an endpoint has refused some: as far as those that it took until then.

An endpoint that lets pass what a full bucket or a sliding minute lets go asks for waits of milliseconds. Whoever sends
all that may be under way at the end of each such wait has nearly all of it refused.
"""

import math

_DOUBLING_S = 2.0
_CUT = 0.8
_SLOWEST = 1.0


class Spacing:
    """Requests a second of one process: what was taken between the ends of two pauses, doubling every 2 s.

    There is no limit before the first pause. A later one begins with 0.8 of what the one before began with, or more,
    and none with less than 1 a second. Times are monotonic seconds.
    """

    def __init__(self):
        self._begin, self._taken = -math.inf, 0
        self._last, self._busy_s = -math.inf, 0.0
        self._rate, self._next = math.inf, -math.inf

    def sent(self, now):
        """Count a request; the next one has to keep its distance from it."""
        if self._begin == -math.inf:
            self._begin = self._last = now
        self._busy_s += min(now - self._last, 1 / _SLOWEST)  # what is longer was idle
        self._last = now
        self._taken += 1
        self._next = now + 1 / self._find_rate(now)

    def refused(self, sent):
        """Do not count a request that was sent then."""
        if sent >= self._begin and self._taken:
            self._taken -= 1

    def resume(self, at):
        """Begin anew at the end of a pause; one that is known already changes nothing."""
        if at > self._begin > -math.inf:
            if self._taken:  # where nothing was, nothing is known but what was before
                least = 0.0 if self._rate == math.inf else _CUT * self._rate
                self._rate = max(_SLOWEST, least, self._taken / (self._busy_s + at - self._last))
            self._begin = self._last = at
            self._taken, self._busy_s = 0, 0.0

    def find_wait(self, now):
        """Return how many seconds the next request has to wait."""
        return max(0.0, self._next - now)

    def _find_rate(self, now):
        return self._rate * 2 ** min((now - self._begin) / _DOUBLING_S, 60)
