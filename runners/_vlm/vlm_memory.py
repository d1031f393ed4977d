"""Ask for a batch in parts as large as the device's memory allows.

Which exceptions mean what is handed in by type, so nothing here needs torch, nor reads messages.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass


class OutOfMemory(MemoryError):  # noqa: N818 - the field's name for it
    """One request alone does not fit."""

    kind = "oom"


class DeviceLost(RuntimeError):  # noqa: N818
    """The device answers nothing any more; only a new process can use it again."""

    kind = "device_lost"


@dataclass(frozen=True)
class Device:
    """What can go wrong on a device: `is_full(error)`, `is_lost(error)`, and `free()`, which gives memory back."""

    is_full: Callable
    is_lost: Callable
    free: Callable


class Portion:
    """How many requests go into one part: halved when memory runs out, one more after each batch that fitted."""

    def __init__(self):
        """Begin without a bound."""
        self.most = None

    def shrink(self, size):
        """Return half of `size`, at least 1, and keep to it from now on."""
        self.most = max(1, size // 2)
        return self.most

    def grow(self):
        """Allow one more than before."""
        if self.most is not None:
            self.most += 1


def ask_in_parts(ask, items, device, portion):
    """Return pairs (answer, size of its part) for `items`, in order; `ask` takes a list and returns as many answers.

    Raises OutOfMemory where one item alone is too much, DeviceLost where the device is gone.
    """
    answers, was_full = [], False
    while len(answers) < len(items):
        size = min(len(items) - len(answers), portion.most or len(items))
        part = _attempt(ask, items[len(answers) : len(answers) + size], device)
        if part is not None:
            answers += [(answer, size) for answer in part]
            continue
        was_full = True
        gc.collect()  # the traceback is gone by now, and with it the tensors of the failed call
        device.free()
        if size == 1:
            raise OutOfMemory(
                "the device has too little memory for one request: shrink its images, or pick a smaller model"
            )
        portion.shrink(size)
    if not was_full:
        portion.grow()
    return answers


def _attempt(ask, items, device):
    """Return the answers, or None where the memory is too little for so many."""
    try:
        return ask(items)
    except Exception as error:
        if device.is_full(error):
            return None
        if device.is_lost(error):
            raise DeviceLost(f"the device is lost: {type(error).__name__}: {error}") from error
        raise
