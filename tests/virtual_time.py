"""An event loop whose time passes as fast as nothing happens: an hour of waiting takes milliseconds."""

import asyncio


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop's time moves only where every task waits, and then to the next timer."""

    def __init__(self):
        super().__init__()
        self._now_s = 1000.0
        self._really_select = self._selector.select
        self._selector.select = self._select

    def time(self):
        return self._now_s

    def _select(self, timeout):
        events = self._really_select(0)
        if not events and timeout:
            self._now_s += timeout
        return events


def run_virtually(function):
    """Run `await function(loop)` in virtual time and return what it returns."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(function(runner.get_loop()))
