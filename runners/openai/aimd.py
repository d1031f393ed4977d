"""How many requests may be under way: additive increase, multiplicative decrease (Chiu and Jain, 1989).

The limit doubles with each clean round until the endpoint first complains, then grows by a twentieth a round. A round
is as many successes as the limit, with no error among them, in which at least 0.8 of the limit was once under way.
"""

_START = 20
_SATURATED = 0.8
_GROWTH = 0.05
_CUT = 0.8
_COOLDOWN_S = 15.0


class Aimd:
    """The limit of one process; times are monotonic seconds."""

    def __init__(self, most, start=0):
        """Begin with `start`, which the endpoint has borne before, where it is not 0."""
        self.most = most
        self.limit = max(1, min(start or _START, most))
        self._was_cut = start >= _START
        self._episode = (float("-inf"), float("-inf"))  # when the last cut was made, until when there is no other
        self._clean = 0
        self._peak = 0

    def began(self, in_flight):
        """Take note of how many are under way."""
        self._peak = max(self._peak, in_flight)

    def succeeded(self, now, in_flight):
        """Count a success at the first attempt, and grow where it completes a round."""
        if now < self._episode[1]:
            return
        self._clean += 1
        if self._clean < self.limit:
            return
        if self._peak >= _SATURATED * self.limit:
            step = max(1, int(self.limit * _GROWTH)) if self._was_cut else self.limit
            self.limit = min(self.most, self.limit + step)
        self._clean, self._peak = 0, in_flight

    def failed(self):
        """Begin the round anew: no growth while the endpoint has trouble, and no cut for it either."""
        self._clean = 0

    def cut(self, sent, now, retry_after_s=0.0):
        """Cut, but once an episode, to which belongs every request that was `sent` before the cut; tell whether."""
        self._clean, self._was_cut = 0, True
        cut_at, until = self._episode
        if sent <= cut_at or now < until:
            self._episode = (cut_at, max(until, now + retry_after_s))
            return False
        self.limit = max(1, int(self.limit * _CUT))
        self._episode = (now, now + max(_COOLDOWN_S, retry_after_s))
        return True
