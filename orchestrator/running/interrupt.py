"""Ctrl-C: the first one lets what is in flight finish, the second one stops at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.running.events import Note, Notify


@dataclass(slots=True)
class Interrupt:
    """How urgently a person asked to stop: 0 not at all, 1 after what is in flight, 2 at once.

    Only inside `deferred` does the code look at `level` by itself; anywhere else a signal raises KeyboardInterrupt.
    """

    level: int = 0
    is_deferred: bool = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the block run on through signals; it looks at `level` where it can stop."""
        before, self.is_deferred = self.is_deferred, True
        try:
            yield
        finally:
            self.is_deferred = before


@contextmanager
def catching_interrupts(notify: Notify) -> Iterator[Interrupt]:
    """Count SIGINT (and take SIGTERM for two) while the block runs; elsewhere than in the main thread do nothing.

    A KeyboardInterrupt of ours ends the block quietly, with `level` saying that it was one.
    """
    state = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return

    def on_signal(number: int, _frame: object) -> None:
        state.level = 2 if number == signal.SIGTERM else min(state.level + 1, 2)
        if not state.is_deferred:
            raise KeyboardInterrupt
        if state.level == 1:
            notify(Note("stopping after what is in flight; press Ctrl-C again to stop at once"))

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield state
    except KeyboardInterrupt:
        state.level = max(state.level, 1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
