"""The state of an account that its processes share, and how it changes: turns and pauses. Times are wall clock.

A bucket holds the time at which it is free again (the generic cell rate algorithm, ITU-T I.371). It is filled at 0.95
of the limit and hardly ever lets two requests pass together: an endpoint that counts sliding minutes, fixed ones or
seconds sees no burst. The 41st request of 40 a minute comes 63.2 s after the first; those 3.2 s are for what `_SLACK`
forgives here, and for the way to the endpoint.
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

_FILL = 0.95
_CREDIT = 1 / 240  # of a minute: what a bucket makes up for when callers come late
_SLACK = 1 / 40  # of a minute: a turn missed by more is void
FARTHEST_S = 900.0  # no pause and no turn farther away is believed
_SKEW_S = 5.0
_LARGEST = 0.45  # of the limit; see _token_s
_JITTER = 0.10
_BACKOFF_S, _BACKOFF_MOST_S, _BACKOFF_LEAST_S = 1.0, 60.0, 0.1


class Record(NamedTuple):
    """What the processes of an account tell each other."""

    written: float = 0.0
    paused_at: float = 0.0
    pause_until: float = 0.0
    episodes: int = 0  # pauses without a success between them
    requests_free: float = 0.0  # when the bucket of requests lets the next one pass
    tokens_free: float = 0.0
    largest: float = 0.0  # tokens of the largest request, as long as there is no idle minute
    limit: float = 0.0  # how many requests at a time were left to the process that was last complained to
    cut_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """An account's limits a minute; None is no limit."""

    rpm: float | None = None
    tpm: float | None = None
    minute_s: float = 60.0

    @property
    def slack_s(self):
        """By how much a turn may be late."""
        return _SLACK * self.minute_s


@dataclass(frozen=True, slots=True)
class Turn:
    """When a request may be sent, what a token of it costs, and the record before and after it was taken."""

    at: float
    token_s: float
    before: Record
    after: Record


def believe(record, now):
    """Return the record without what a clock that jumped, or another program, must have put there."""
    if record.written > now + _SKEW_S:
        return Record()
    farthest = now + FARTHEST_S + _SKEW_S
    names = ("pause_until", "requests_free", "tokens_free")
    wrong = {name: 0.0 for name in names if not getattr(record, name) < farthest}
    return record._replace(**wrong) if wrong else record


def take_turn(record, rates, tokens, now):
    """Return the record with a turn for a request of so many tokens taken, and that turn."""
    start = max(record.requests_free, record.pause_until, now - _CREDIT * rates.minute_s)
    changes, token_s = {}, 0.0
    if rates.tpm:
        is_idle = record.tokens_free < now - rates.minute_s
        largest = tokens if is_idle else max(tokens, record.largest)
        # What was sent in this minute was paced for a smaller last request: the difference is waited for first.
        growth_s = 0.0 if is_idle else (largest - record.largest) * _token_s(rates, record.largest)
        start = max(start, record.tokens_free) + growth_s
        token_s = _token_s(rates, largest)
        changes = {"largest": largest, "tokens_free": start + tokens * token_s}
    after = start + (rates.minute_s / (_FILL * rates.rpm) if rates.rpm else 0.0)
    taken = record._replace(requests_free=after, **changes)
    return taken, Turn(start, token_s, record, taken)


def _token_s(rates, largest):
    """Return the seconds that a token costs.

    A request waits for those before it, not for itself, so that one of any size gets through; the room for the last
    one of a minute is left free. Of requests larger than 0.45 of the limit two may come to share a minute.
    """
    return rates.minute_s / (_FILL * rates.tpm - min(largest, _LARGEST * rates.tpm))


def return_turn(record, turn, tokens):
    """Return the record without a turn that was not used; a place that others stand behind stays taken."""
    is_last = record.requests_free == turn.after.requests_free
    if is_last and record.tokens_free == turn.after.tokens_free:
        names = ("requests_free", "tokens_free", "largest")
        return record._replace(**{name: getattr(turn.before, name) for name in names})
    record = correct(record, turn, -tokens)
    return record._replace(requests_free=turn.before.requests_free) if is_last else record


def correct(record, turn, tokens):
    """Return the record with so many more tokens spent than were thought."""
    return record._replace(tokens_free=record.tokens_free + tokens * turn.token_s)


def is_probing(record):
    """Return whether a pause was followed by another: then one request at a time finds out whether it is over."""
    return record.episodes > 1


def pause(record, retry_after_s, sent, now):
    """Return the record with a pause that a refused request asks for, and when that ends (0: it asks for no new one).

    `sent` is when the request was sent: what was on its way when the pause began is of the same episode.
    """
    is_known = sent <= record.paused_at
    if retry_after_s is None:
        if is_known or now < record.pause_until:
            return record, 0.0
        most = min(_BACKOFF_MOST_S, _BACKOFF_S * 2 ** min(record.episodes, 10))
        until = now + max(_BACKOFF_LEAST_S, random.uniform(0, most))  # noqa: S311 - no secret
    elif now + retry_after_s <= record.pause_until:
        return record, 0.0
    else:
        until = now + retry_after_s * random.uniform(1, 1 + _JITTER)  # noqa: S311
    episodes = record.episodes + (0 if is_known else 1)
    shared_until = max(record.pause_until, min(until, now + FARTHEST_S))
    return record._replace(paused_at=now, pause_until=shared_until, episodes=episodes), until


def accept(record, sent):
    """Return the record after a success: one that was sent after the last pause ends the row of episodes."""
    return record._replace(episodes=0) if record.episodes and sent >= record.pause_until else record
