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
    """Return (answer, how often its part was too large) for each of `items`, in order; `ask` takes and returns a list.

    One item alone that is too much has OutOfMemory for an answer, and the others are asked in parts as large as before;
    what is left when the device is lost has DeviceLost.
    """
    answers, times_full, most = [], [0] * len(items), portion.most
    while len(answers) < len(items):
        start = len(answers)
        size = min(len(items) - start, portion.most or len(items))
        part = _attempt(ask, items[start : start + size], device)
        if isinstance(part, DeviceLost):
            part = [part] * (len(items) - start)
        if part is not None:
            answers += zip(part, times_full[start : start + len(part)], strict=True)
            continue
        times_full[start : start + size] = [times + 1 for times in times_full[start : start + size]]
        gc.collect()  # the traceback is gone by now, and with it the tensors of the failed call
        device.free()
        if size == 1:
            answers.append((OutOfMemory(_TOO_LARGE), times_full[start]))
            portion.most = most  # it was this one, not how many there were
        else:
            print(f"out of memory with {size} requests together: trying {portion.shrink(size)}")  # noqa: T201 - the log
    if not any(times_full):
        portion.grow()
    return answers


_TOO_LARGE = "the device has too little memory for one request: shrink its images, or pick a smaller model"


def _attempt(ask, items, device):
    """Return the answers, DeviceLost, or None where the memory is too little for so many."""
    try:
        return ask(items)
    except Exception as error:
        if device.is_full(error):
            return None
        if device.is_lost(error):
            return DeviceLost(f"the device is lost: {type(error).__name__}: {error}")
        raise
