"""What a worker is started with, and what can become of it."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from orchestrator.protocol import PROTOCOL, Failure, Response

Cause = Literal["load_failed", "load_timeout", "timeout", "crashed", "protocol", "closed"]


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """How a worker is started, in which `folder`, and what it is told to load; times are in seconds.

    `secrets` are the variables, by name, whose values it must not let slip.
    """

    runner: str
    argv: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    folder: Path
    log: Path
    spill: Path
    model: str
    params: dict[str, Any]
    batch_max: int = 1
    concurrency: int = 1
    hello_timeout_s: float = 60.0
    load_timeout_s: float = 1800.0
    item_timeout_s: float = 120.0
    device: str | None = None
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def hello(self, nonce: str) -> dict[str, Any]:
        """Return the first message to the worker."""
        parent, spill = os.getpid(), str(self.spill)
        return {"type": "hello", "protocol": PROTOCOL, "nonce": nonce, "parent_pid": parent, "spill_folder": spill}

    def load(self) -> dict[str, Any]:
        """Return the message that tells the worker what to load."""
        names = ("model", "params", "device", "batch_max", "concurrency")
        return {"type": "load"} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded; the session takes requests."""

    load_s: float
    batch_max: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Begun:
    """The worker is at work on these requests: it began them, and had not answered when this was told."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A request took too long and is given back; the worker goes on with others, of which it does several at a time.

    It is told to end the request. Where it does not, a `Gone` follows that names the request among its `timed_out`.
    """

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The worker is no more.

    `suspects` are the requests it was working on, `timed_out` those of them that took too long, `waiting` those that
    it had not begun. Where `timed_out` holds requests that are no suspects, each was given back as a `TimedOut` before.
    """

    reason: str
    cause: Cause
    suspects: tuple[str, ...] = ()
    timed_out: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    error: Failure | None = None


Event = Ready | Begun | Response | Failure | TimedOut | Gone


def describe_exit(status: int | None) -> str:
    """Say in words how a process ended; negative is a signal, as subprocess has it."""
    if status is None:
        return "it closed its output and would not end"
    if status in (-9, 137):
        return "it was killed (SIGKILL), most likely because memory ran out"
    if status < 0:
        with suppress(ValueError):
            return f"it crashed with {signal.Signals(-status).name}"
    return f"it exited with status {status}"
