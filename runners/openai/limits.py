"""Keep to the limits of an account: how many requests are under way, and pauses."""

import asyncio
import contextlib
import time


class Slot:
    """The right to send one request; what became of it is told here."""

    def __init__(self, account):
        self._account = account

    def limited(self, retry_after_s):
        self._account.pause(retry_after_s or 0.0)

    def overloaded(self):
        pass

    def failed(self):
        pass

    def used(self, tokens):
        pass

    def ok(self):
        pass


class Account:
    """All that one key may do at one endpoint."""

    def __init__(self, concurrency_max):
        self._slots = asyncio.Semaphore(concurrency_max)
        self._until = 0.0

    @property
    def paused_s(self):
        return max(0.0, self._until - time.monotonic())

    def pause(self, seconds):
        self._until = max(self._until, time.monotonic() + seconds)

    @contextlib.asynccontextmanager
    async def slot(self, tokens):  # noqa: ARG002 - the interface
        async with self._slots:
            while self.paused_s:  # noqa: ASYNC110 - a clock sends no event
                await asyncio.sleep(self.paused_s)
            yield Slot(self)


def open_account(base_url, key, *, rpm, tpm, concurrency_max, folder=None):  # noqa: ARG001 - the interface
    return Account(concurrency_max)
