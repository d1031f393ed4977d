"""Start other programs: the only module that imports subprocess."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import BakeoffError


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended; a negative `returncode` is the signal that ended it."""

    returncode: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float | None = None,
) -> Completed:
    """Run a program to its end without input; past `timeout_s` its whole process group is killed.

    Raises BakeoffError where it cannot be started or took too long.
    """
    try:
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise BakeoffError(f"{argv[0]}: cannot be started: {error.strerror or error}") from error
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except BaseException as error:
        _kill_group(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise BakeoffError(f"{argv[0]}: took more than {timeout_s:g} s and was stopped") from error
        raise
    return Completed(process.returncode, stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace"))


def git_commit(folder: Path) -> str | None:
    """Return the commit that is checked out in `folder`, None where there is no git or no repository."""
    try:
        completed = run(["git", "-C", str(folder), "rev-parse", "HEAD"], timeout_s=10)
    except BakeoffError:
        return None
    return completed.stdout.strip() or None if completed.returncode == 0 else None


@dataclass(slots=True)
class Child:
    """A worker's process, leader of a process group of its own, with three non-blocking pipes."""

    _process: subprocess.Popen[bytes]
    stdin: int
    stdout: int
    stderr: int
    _is_killed: bool = field(init=False, default=False)

    def has_exited(self) -> bool:
        """Tell whether the process has ended, though a descendant may still hold its pipes."""
        return self._process.poll() is not None

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit status (negative: a signal), or None if it has not ended after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """Ask the whole group to end."""
        _kill_group(self._process.pid, signal.SIGTERM)

    def kill(self, timeout_s: float) -> None:
        """Kill the whole group, descendants included, and reap the leader within `timeout_s`; once is enough."""
        if self._is_killed:  # by now another process may have the number
            return
        self._is_killed = True
        _kill_group(self._process.pid, signal.SIGKILL)
        deadline = time.monotonic() + timeout_s
        while not self.has_exited() and time.monotonic() < deadline:
            time.sleep(0.005)

    def close_stdin(self) -> None:
        """Close our end of the worker's input, which tells it that we are done."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def close(self) -> None:
        """Close every pipe."""
        self.close_stdin()
        for descriptor in (self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def spawn(argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> Child:
    """Start a worker with pipes on all three descriptors; raise BakeoffError where it cannot be started.

    To be called from the main thread: a worker is told to die with the thread that started it.
    """
    try:
        process = subprocess.Popen(
            argv,
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise BakeoffError(f"{argv[0]}: cannot be started: {error.strerror or error}") from error
    descriptors = []
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None  # all three were asked for
        descriptors.append(os.dup(pipe.fileno()))
        pipe.close()
        os.set_blocking(descriptors[-1], False)
    process.stdin = process.stdout = process.stderr = None
    return Child(process, *descriptors)


def _kill_group(leader: int, number: signal.Signals) -> None:
    """Signal a group by its leader's pid, which stays the group's id when the leader is reaped already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
