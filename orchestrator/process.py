"""Start other programs: the only module that imports subprocess."""

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import BakeoffError

REAP_S = 1.0
_running: set[subprocess.Popen[bytes]] = set()  # by `run`, from whichever thread
MARK = "BAKEOFF_WORKER"  # the variable that tells what a worker started, wherever it went


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
    _running.add(process)
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except BaseException as error:
        _end(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise BakeoffError(f"{argv[0]}: took more than {timeout_s:g} s and was stopped") from error
        raise
    finally:
        _running.discard(process)
    return Completed(process.returncode, stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace"))


def end_programs() -> None:
    """Kill what any thread waits for in `run`: a person said stop."""
    for process in tuple(_running):
        if process.returncode is None:
            _kill_group(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the group of `process` and reap it; what left the group may hold its pipes for as long as it likes."""
    _kill_group(process.pid, signal.SIGKILL)
    try:
        process.communicate(timeout=REAP_S)
    except subprocess.TimeoutExpired:
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None  # both were asked for
            pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(REAP_S)


def git_commit(folder: Path) -> str | None:
    """Return the commit that is checked out in `folder`.

    It is None where there is no git, no repository, or one whose commit has nothing of `folder` in it.
    """
    try:
        completed = run(["git", "-C", str(folder), "rev-parse", "HEAD", "HEAD:./"], timeout_s=10)
    except BakeoffError:
        return None
    return completed.stdout.split()[0] if completed.returncode == 0 else None


@dataclass(slots=True)
class Child:
    """A worker's process, leader of a process group of its own, with three non-blocking pipes."""

    _process: subprocess.Popen[bytes]
    _token: str
    _born: int
    stdin: int
    stdout: int
    stderr: int
    _is_killed: bool = field(init=False, default=False)

    def pin(self, cores: Sequence[int]) -> None:
        """Keep the process, and what it starts from now on, to some of the cores; on Linux alone."""
        if hasattr(os, "sched_setaffinity"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.sched_setaffinity(self._process.pid, cores)

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

    def kill(self, timeout_s: float) -> bool:
        """Kill the worker and its descendants, and reap it, within `timeout_s`; once is enough. Tell whether all died.

        On Linux those who left its group die, too. They are the first: what guards the group in the worker's own
        name is a member of it, and would finish the work if we died in the middle. Elsewhere it is the group alone.
        """
        if self._is_killed:  # by now another process may have the number
            return True
        self._is_killed = True
        deadline = time.monotonic() + timeout_s
        leader = self._process.pid
        _kill_each(_find_left(self._token, leader, self._born))
        _kill_group(leader, signal.SIGKILL)
        while (left := _find_left(self._token, leader, self._born)) or not self.has_exited():
            _kill_each(left)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

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

    It and all that it starts carry a random token in their environment, by which `Child.kill` finds them.
    To be called from the main thread: a worker is told to die with the thread that started it.
    """
    token = secrets.token_hex(16)
    try:
        process = subprocess.Popen(
            argv,
            env={**environment, MARK: token},
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
    return Child(process, token, _read_birth(process.pid), *descriptors)


def _kill_group(leader: int, number: signal.Signals) -> None:
    """Signal a group by its leader's pid, which stays the group's id when the leader is reaped already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _kill_each(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _read_birth(pid: int) -> int:
    """Return when a process was started, in ticks since the machine was; 0 where there is no /proc."""
    try:
        return int(_read_stat(Path(f"/proc/{pid}"))[19])
    except OSError:
        return 0


def _read_stat(folder: Path) -> list[bytes]:
    """Return what follows a process's name: state, parent, group, session and so on."""
    return (folder / "stat").read_bytes().rpartition(b")")[2].split()


def _find_left(token: str, leader: int, born: int) -> list[int]:
    """Return the pids of what lives of a worker, those outside the group of its `leader` first.

    It is who carries exactly this token (another worker's, such as one around us, is no match), and who shares a
    session with one: a server that changes its title, as Ray's do, may overwrite its environment. Empty where there
    is no /proc. The worker looks in the same way, with a copy of this function: it can import nothing of ours.
    """
    mark = f"{MARK}={token}".encode()
    rows = list(_read_processes(mark, born))
    sessions = {leader, *(session for _, _, session, is_marked in rows if is_marked)}
    if os.getsid(0) != leader:
        sessions.discard(os.getsid(0))
    left = [(group == leader, pid) for pid, group, session, is_marked in rows if is_marked or session in sessions]
    return [pid for _, pid in sorted(left) if pid != os.getpid()]


def _read_processes(mark: bytes, born: int) -> Iterator[tuple[int, int, int, bool]]:
    """Yield pid, group, session of each process that lives, and whether `mark` is in its environment.

    Those older than `born` are left out: to read the environment of one that is stuck in the kernel can take forever.
    """
    for folder in Path("/proc").glob("[1-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or hides itself
            stat = _read_stat(folder)
            if stat[0] in b"ZX" or int(stat[19]) < born:
                continue
            environment = b""
            with contextlib.suppress(PermissionError):  # another user's
                environment = (folder / "environ").read_bytes()
            yield int(folder.name), int(stat[2]), int(stat[3]), mark in environment.split(b"\0")
