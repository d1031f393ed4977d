"""Keep to the limits of an account, which is one key at one host, whichever models and processes use it.

Requests and tokens a minute, and pauses, are shared by all processes of this user on this machine (pace.py,
account_file.py). How many requests are under way is limited by each process (aimd.py), but whatever one of them is told
cuts the limit of all, and a later process begins with what was left.
"""

import asyncio
import heapq
import itertools
import math
import time
from typing import NamedTuple

import pace
from account_file import AccountFile, account_path
from aimd import Aimd
from spacing import Spacing

_REMEMBERED_S = 600.0


class Slot:
    """The right to send one request; what became of it is told here. It gives back its place when the context ends."""

    __slots__ = ("_account", "_is_clean", "_sent", "_sent_wall", "_tokens", "_turn", "ticket")

    def __init__(self, account, tokens, *, retry, ticket=None):
        self._account, self._tokens, self._is_clean = account, max(0, tokens), not retry
        self.ticket = account.draw_ticket() if ticket is None else ticket
        self._turn, self._sent, self._sent_wall = None, 0.0, 0.0

    async def __aenter__(self):
        self._turn = await self._account.enter(self._tokens, self.ticket)
        self._sent, self._sent_wall = self._account.now()
        return self

    async def __aexit__(self, *_):
        self._account.leave()

    def limited(self, retry_after_s=None):
        """Tell of a 429: everybody pauses, for `retry_after_s` or, where it is None or not above 0, a growing time."""
        self._is_clean = False
        self._account.pause(retry_after_s, self._sent, self._sent_wall)

    def overloaded(self):
        """Tell of a 529: fewer at the same time, and no pause."""
        self._is_clean = False
        self._account.cut(self._sent)

    def failed(self):
        """Tell of a 5xx or a timeout: no growth, and no cut."""
        self._is_clean = False
        self._account.aimd.failed()

    def used(self, tokens):
        """Tell how many tokens it really were."""
        self._account.correct(self._turn, tokens - self._tokens)
        self._tokens = tokens

    def ok(self):
        """Tell of a success; one after an error says nothing of the limit."""
        self._account.succeed(self._sent_wall, is_clean=self._is_clean)


class _Waiter(NamedTuple):
    """A request in the queue; `future` gets its turn."""

    ticket: int
    tokens: int
    future: asyncio.Future


class Account:
    """What one key may do at one host; made by `open_account`, for one event loop."""

    def __init__(self, file, rates, concurrency_max, *, monotonic=time.monotonic, wall=time.time):
        self._file, self._rates = file, rates
        self._monotonic, self._wall = monotonic, wall
        known = file.read()
        self._cut_at = known.cut_at
        start = int(known.limit) if wall() - known.cut_at < _REMEMBERED_S else 0
        self.aimd = Aimd(max(1, int(concurrency_max)), start)
        self._spacing = Spacing()
        self._in_flight = 0
        self._tickets, self._queue, self._timer = itertools.count(), [], None
        self._turn, self._due, self._turn_tokens = None, 0.0, 0  # taken for the first of the queue
        self._seen, self._paused_until = None, -math.inf

    @property
    def paused_s(self):
        """How many seconds a pause still lasts."""
        self._look()
        return max(0.0, self._paused_until - self._monotonic())

    def slot(self, tokens, *, retry=False, ticket=None):
        """Return a context that begins when a request of so many tokens may be sent.

        `retry`: it failed before; then `ticket` is that of its slot, with which it need not stand behind all others.
        """
        return Slot(self, tokens, retry=retry, ticket=ticket)

    def draw_ticket(self):
        """Return the next place of the queue."""
        return next(self._tickets)

    def now(self):
        """Return the time by the monotonic and by the wall clock."""
        return self._monotonic(), self._wall()

    async def enter(self, tokens, ticket):
        """Wait for a place, for the end of a pause and for the buckets; return the turn."""
        loop = asyncio.get_running_loop()
        while True:
            waiter = _Waiter(ticket, tokens, loop.create_future())
            heapq.heappush(self._queue, waiter)
            self._admit()
            try:
                turn = await waiter.future
            except asyncio.CancelledError:
                self._withdraw(waiter)
                raise
            if not self.paused_s:
                return turn
            self._withdraw(waiter)  # a pause began in the instant since it was admitted: back to its place in the queue

    def leave(self):
        """Give a place back."""
        self._in_flight -= 1
        self._admit()

    def _withdraw(self, waiter):
        if not waiter.future.cancelled():
            self._in_flight -= 1
            self._spacing.refused(self._monotonic())
            self._return_turn(waiter.future.result(), waiter.tokens)
        self._admit()

    def _admit(self):
        """Admit as many of the queue as may go now, and come back when the next one may."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._queue and self._in_flight < self._find_limit():
            first = self._queue[0]
            if not first.future.done():
                if wait_s := self._find_wait(first.tokens):
                    self._timer = asyncio.get_running_loop().call_later(wait_s, self._admit)
                    return
                first.future.set_result(self._turn)
                self._turn = None
                self._in_flight += 1
                self.aimd.began(self._in_flight)
                self._spacing.sent(self._monotonic())
            heapq.heappop(self._queue)
        if not self._queue:
            self._drop_turn()

    def _find_limit(self):
        return 1 if pace.is_probing(self._file.read()) else self.aimd.limit

    def _find_wait(self, tokens):
        """Return how many seconds the first of the queue has to wait, as far as is known; take a turn for it."""
        if paused_s := self.paused_s:
            return paused_s
        self._spacing.resume(self._paused_until)
        if spaced_s := self._spacing.find_wait(self._monotonic()):
            return spaced_s
        if not (self._rates.rpm or self._rates.tpm):
            return 0.0
        if self._turn and (tokens != self._turn_tokens or self._monotonic() > self._due + self._rates.slack_s):
            self._drop_turn()
        if not self._turn:
            self._take_turn(tokens)
        return max(0.0, self._due - self._monotonic())

    def _take_turn(self, tokens):
        _, self._turn = self._file.change(lambda record, now: pace.take_turn(record, self._rates, tokens, now))
        monotonic, wall = self.now()
        self._due, self._turn_tokens = monotonic + self._turn.at - wall, tokens

    def _drop_turn(self):
        self._return_turn(self._turn, self._turn_tokens)
        self._turn = None

    def _return_turn(self, turn, tokens):
        if turn:
            self._file.change(lambda record, _: (pace.return_turn(record, turn, tokens), None))

    def pause(self, retry_after_s, sent, sent_wall):
        """Pause for every caller of the account, and cut once an episode."""
        if retry_after_s is not None and not 0 < retry_after_s < math.inf:
            retry_after_s = None
        _, until = self._file.change(lambda record, now: pace.pause(record, retry_after_s, sent_wall, now))
        self._spacing.refused(sent)
        self._pause_until(until)
        self.cut(sent, self.paused_s)

    def cut(self, sent, retry_after_s=0.0):
        """Have fewer at the same time, here and in all other processes."""
        if self.aimd.cut(sent, self._monotonic(), retry_after_s):
            limit = self.aimd.limit
            record, _ = self._file.change(lambda record, now: (record._replace(limit=limit, cut_at=now), None))
            self._cut_at = record.cut_at

    def correct(self, turn, tokens):
        """Correct by so many tokens what a request was thought to take."""
        if turn and turn.token_s and tokens:
            self._file.change(lambda record, _: (pace.correct(record, turn, tokens), None))

    def succeed(self, sent_wall, *, is_clean):
        """Count a success, and end a row of pauses."""
        if is_clean:
            self.aimd.succeeded(self._monotonic(), self._in_flight)
        record = self._file.read()
        if pace.accept(record, sent_wall) is not record:
            self._file.change(lambda record, _: (pace.accept(record, sent_wall), None))

    def _look(self):
        """Learn of a pause or a cut of another process; what was learnt is kept by this process's own clock."""
        record = self._file.read()
        if record is not self._seen:
            self._seen = record
            self._pause_until(record.pause_until)
            if record.cut_at > self._cut_at:
                self._cut_at = record.cut_at
                self.aimd.cut(self._monotonic(), self._monotonic())

    def _pause_until(self, wall_until):
        monotonic, wall = self.now()
        if wall_until > wall:
            self._paused_until = max(self._paused_until, monotonic + wall_until - wall)


def open_account(base_url, key, *, rpm, tpm, concurrency_max, folder=None):
    """Return the account of `key` at `base_url`, whose limits are a minute's; None is no limit.

    `folder` is where processes share its state, by default the user's own for such files.
    """
    return Account(AccountFile(account_path(base_url, key, folder)), pace.Rates(rpm, tpm), concurrency_max)
