"""Serve one runner over JSON lines: the child's side of the wire, run by the env's own Python.

Started as `<env>/bin/python -I -u -X utf8 -X faulthandler worker.py RUNNER_FOLDER [HELPER_FOLDER…]`. It
imports nothing but the standard library and runs on Python 3.8 and newer.

It is one long file because an interpreter that knows nothing of our package gets it by its path. A second module
would have to be put on the runner's path, where its name could hide a package of the env's, or be hidden by one.
"""

from __future__ import annotations

if __name__ == "__main__":
    # The wire moves to private descriptors before anything else is imported, so that prints from Python, C
    # and grandchildren reach stderr and never the wire. What os.dup gives, children do not inherit (PEP 446).
    import os

    _WIRE_IN, _WIRE_OUT = os.dup(0), os.dup(1)
    _null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(_null, 0)
    os.close(_null)
    os.dup2(2, 1)

import contextlib
import functools
import hashlib
import importlib.util
import inspect
import json
import os
import platform
import queue
import select
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional  # noqa: UP035 - Python 3.8 needs the old names

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

PROTOCOL = 1
LINE_BYTES = 4 << 20
ERROR_START = b'{"type":"error"'
MESSAGE_CHARS = TRACEBACK_CHARS = 16 << 10  # the parent shows less, once it has taken the secrets out
CUT = "…"
COUNT_MAX = (1 << 63) - 1
KINDS = frozenset({"bad_input", "bad_params", "oom", "transient", "rate_limited", "refused", "device_lost", "bug"})
STOP_REASONS = frozenset({"stop", "max_tokens", "content_filter", "unknown"})
_KIND_OF_CLASS = {
    "UnidentifiedImageError": "bad_input",
    "DecompressionBombError": "bad_input",
    "OutOfMemoryError": "oom",
    "MemoryError": "oom",
    "ConnectionError": "transient",
    "TimeoutError": "transient",
}
_EOF_EXIT = 3
_LOST_EXIT = 70
_PARENT_POLL_S = 1.0
_GUARD_POLL_S = 0.25
_GUARD_S = 2.0
_MARK = "BAKEOFF_WORKER"

Message = Dict[str, Any]  # noqa: UP006 - evaluated, by Python 3.8 too


class Wire:
    """The descriptors of the parent: lines in, lines out; writing is safe from every thread."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        """Take the two descriptors over."""
        self._incoming, self._outgoing = incoming, outgoing
        self._lock = threading.Lock()
        self._held = b""
        os.register_at_fork(after_in_child=self._leave)

    def lines(self) -> Iterator[Message]:
        """Yield the parent's messages until it closes its end."""
        rest = b""
        while True:
            chunk = os.read(self._incoming, 1 << 18)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)

    def hold(self, line: bytes) -> None:
        """Keep `line` back until the next `send_line`, so that both go out in one write."""
        with self._lock:
            self._held += line

    def send_line(self, line: bytes) -> None:
        """Write what is held and `line`, whole."""
        with self._lock:
            data, self._held = self._held + line, b""
            while data:
                data = data[os.write(self._outgoing, data) :]

    def release(self) -> None:
        """Write what is held."""
        if self._held:
            self.send_line(b"")

    def send(self, **message: object) -> None:
        """Encode and write `message`."""
        self.send_line(encode(message))

    def _leave(self) -> None:
        """Let a forked child of the runner's go without the wire: it neither answers nor keeps it open."""
        if self._incoming >= 0:  # a child of such a child has none
            os.close(self._incoming)
            os.close(self._outgoing)
            self._incoming = self._outgoing = -1


def encode(message: Message) -> bytes:
    """Return the line of `message`: ASCII, one object, no NaN; foreign number types become plain ones."""
    try:
        text = _dumps(message)
    except ValueError:  # NaN or infinity, which are no JSON
        text = _dumps(json.loads(json.dumps(message, default=_plain), parse_constant=lambda _: None))
    return text.encode("ascii") + b"\n"


def _plain(value: Any) -> object:
    """Turn numpy and torch scalars and arrays, paths, sets and the like into JSON."""
    for method in ("tolist", "item"):
        if hasattr(value, method):
            return getattr(value, method)()
    if isinstance(value, (set, frozenset)):
        return list(value)
    return str(value)


_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain).encode


def import_runner(folder: Path, helper_folders: tuple[str, ...]) -> Any:
    """Import `runner.py` of `folder`; the env's own packages come before what lies beside it."""
    sys.path += [str(folder), *helper_folders]
    spec = importlib.util.spec_from_file_location("runner", folder / "runner.py")
    assert spec is not None  # its name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["runner"] = module
    spec.loader.exec_module(module)
    return module


def find_form(module: Any) -> str:
    """Return `generate`, `generate_batch` or `async`; raise TypeError where the runner is none of them."""
    if not callable(getattr(module, "load", None)):
        raise TypeError("runner.py has no load(params)")
    forms = [name for name in ("generate", "generate_batch") if callable(getattr(module, name, None))]
    if len(forms) != 1:
        found = " and ".join(forms) or "neither"
        raise TypeError(f"runner.py must define exactly one of generate and generate_batch, it has {found}")
    if not inspect.iscoroutinefunction(getattr(module, forms[0])):
        return forms[0]
    if forms[0] == "generate_batch":
        raise TypeError("runner.py: generate_batch must not be async; define async def generate instead")
    return "async"


class Server:
    """Turn the parent's requests into lines to send, with one loaded model."""

    def __init__(self, module: Any, params: Message, spill: str) -> None:
        """Load the model; raise what the runner raises."""
        self.form = find_form(module)
        self._module, self._params, self._spill = module, params, spill
        self._state = module.load(dict(params))

    def wind_down(self) -> None:
        """Let an asynchronous runner that wants to know it end what it has not sent yet."""
        act = getattr(self._module, "wind_down", None)
        if callable(act):
            try:
                act(self._state)
            except Exception:  # noqa: BLE001 - then it ends later
                traceback.print_exc()

    def answer_one(self, request: Message) -> bytes:
        """Ask `generate` for one request."""
        start = time.perf_counter()
        try:
            answer = self._module.generate(self._state, self._arguments(request))
            return self._response(request["id"], answer, time.perf_counter() - start, 1)
        except BaseException as error:  # noqa: BLE001 - whatever a runner raises is an answer
            return error_line(request["id"], error)

    async def answer_async(self, request: Message) -> bytes:
        """Await `generate` for one request."""
        start = time.perf_counter()
        try:
            answer = await self._module.generate(self._state, self._arguments(request))
            return self._response(request["id"], answer, time.perf_counter() - start, 1)
        except BaseException as error:  # noqa: BLE001 - whatever a runner raises is an answer
            return error_line(request["id"], error)

    def answer_batch(self, requests: list[Message]) -> Iterator[bytes]:
        """Ask `generate_batch`; where it fails, ask for each request alone, answers as they come."""
        start = time.perf_counter()
        try:
            answers = self._ask_batch(requests)
        except BaseException as error:  # noqa: BLE001 - whatever a runner raises is an answer
            answers = None
            if len(requests) == 1 or classify(error) == "device_lost":
                yield b"".join(error_line(request["id"], error) for request in requests)
                return
        if answers is None:  # asked again only here, where no traceback keeps the batch in memory
            for request in requests:
                yield from self.answer_batch([request])
            return
        elapsed, size = time.perf_counter() - start, len(requests)
        pairs = zip(requests, answers)  # noqa: B905 - Python 3.8 knows no strict
        said = [(is_lost(answer), self._checked(request["id"], answer, elapsed, size)) for request, answer in pairs]
        for each in (False, True):  # what tells of a lost device goes last, and this process with it
            if lines := b"".join(line for is_last, line in said if is_last is each):
                yield lines

    def _ask_batch(self, requests: list[Message]) -> list[Any]:
        answers = self._module.generate_batch(self._state, [self._arguments(r) for r in requests])
        if not isinstance(answers, (list, tuple)) or len(answers) != len(requests):
            found = _described(answers)
            raise TypeError(f"generate_batch must return a list of {len(requests)} answers, got {found}")
        return list(answers)

    def _arguments(self, request: Message) -> Message:
        params = request.get("params")
        arguments = {
            "id": request["id"],
            "prompt": request["prompt"],
            "system": request.get("system"),
            "images": [image["path"] for image in request.get("images") or ()],
            "params": {**self._params, **params} if params else self._params.copy(),
            "repeat": request.get("repeat", 1),
        }
        if request.get("messages") is not None:
            arguments["messages"] = request["messages"]
        return arguments

    def _checked(self, identity: str, answer: object, elapsed: float, batch_size: int) -> bytes:
        if isinstance(answer, BaseException):
            return error_line(identity, answer)
        try:
            return self._response(identity, answer, elapsed, batch_size)
        except Exception as error:  # noqa: BLE001 - a malformed answer is this request's error
            return error_line(identity, error)

    def _response(self, identity: str, answer: object, elapsed: float, batch_size: int) -> bytes:
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
            raise TypeError(f'an answer is a dict with "text", a str; got {_described(answer)}')
        stop_reason = answer.get("stop_reason") or "unknown"
        if stop_reason not in STOP_REASONS:
            raise ValueError(f"stop_reason {stop_reason!r} is none of {', '.join(sorted(STOP_REASONS))}")
        info = answer.get("info")
        if info is not None and not isinstance(info, dict):
            raise TypeError(f'"info" of an answer is a dict, got {_described(info)}')
        message = {
            "type": "response",
            "id": identity,
            "text": answer["text"],
            "stop_reason": stop_reason,
            "input_tokens": _count(answer, "input_tokens"),
            "output_tokens": _count(answer, "output_tokens"),
            "latency_s": round(elapsed, 6),
            "batch_size": batch_size,
            "info": info,
        }
        line = encode(message)
        return line if len(line) <= LINE_BYTES else self._spilled(message)

    def _spilled(self, message: Message) -> bytes:
        """Put a text that is too long for a line into a file of its own, and refer to it."""
        data = message["text"].encode("utf-8", "replace")
        digest = hashlib.sha256(data).hexdigest()
        Path(self._spill, f"{message['id']}-{digest}.txt").write_bytes(data)
        line = encode({**message, "text": "", "text_sha256": digest})
        if len(line) > LINE_BYTES:
            raise ValueError(f"info is {len(line)} bytes long; a line may have {LINE_BYTES}")
        return line


def error_line(identity: str | None, error: BaseException) -> bytes:
    """Return the line that says why a request failed, or the loading (None)."""
    is_final = False
    try:
        kind, text, lines = _explained(error)
        if identity is None and isinstance(error, ModuleNotFoundError):
            text += "; put the package that brings it into the runner's requirements.txt"
        is_final = getattr(error, "final", False) is True
    except BaseException:  # noqa: BLE001 - the words of an error are the runner's code, too
        kind, text = "bug", f"{type(error).__name__}, which raised an error itself when asked for its message"
        lines = traceback.format_tb(error.__traceback__)
    message = {
        "type": "error",
        "id": identity,
        "kind": kind,
        "final": is_final,
        "message": text if len(text) <= MESSAGE_CHARS else text[: MESSAGE_CHARS - 1] + CUT,
        "traceback": _last_lines("".join(lines)),
    }
    return encode(message)


def _last_lines(text: str) -> str:
    """Return the end of `text`, whole lines: the parent would not know the rest of a secret that was cut."""
    if len(text) <= TRACEBACK_CHARS:
        return text
    return text[-TRACEBACK_CHARS - 1 :].partition("\n")[2]


def _explained(error: BaseException) -> tuple[str, str, list[str]]:
    """Return kind, message and traceback of `error`; raise whatever its own methods raise."""
    name, text = type(error).__name__, str(error)
    shown = text if text and getattr(error, "kind", None) else f"{name}: {text}" if text else name
    return classify(error), shown, traceback.format_exception(type(error), error, error.__traceback__)


def classify(error: BaseException) -> str:
    """Return the kind of `error`: its own `kind` attribute, or what its class is known for, or `bug`."""
    kind = getattr(error, "kind", None)
    if isinstance(kind, str) and kind in KINDS:
        return kind
    for base in type(error).__mro__:
        if base.__name__ in _KIND_OF_CLASS:
            return _KIND_OF_CLASS[base.__name__]
    return "bug"


def is_lost(answer: object) -> bool:
    """Tell whether a runner says by this answer that its device is lost."""
    return isinstance(answer, BaseException) and classify(answer) == "device_lost"


def _described(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"a dict whose text is {_described(value.get('text'))}"
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _count(answer: Message, name: str) -> int | None:
    if answer.get(name) is None:
        return None
    value = int(answer[name])
    if not 0 <= value <= COUNT_MAX:
        raise ValueError(f'"{name}" of an answer is a count, got {value}')
    return value


def cancelled_line(identity: str) -> bytes:
    """Return the answer to a request that the parent has taken back."""
    return encode({"type": "error", "id": identity, "kind": "transient", "message": "cancelled"})


def started_line(identity: str) -> bytes:
    """Return what says that work on one request begins, in the words that the parent knows best."""
    return b'{"type":"started","ids":["%b"]}\n' % identity.encode("ascii")


class Inbox:
    """What the reader thread hands to the main thread: requests in order, None at the end.

    `_waiting` has the ids of those that are neither begun nor taken back. Whoever removes an id decides which of the
    two it is, so a request has one answer, and a late `cancel` leaves no trace.
    """

    def __init__(self, wire: Wire, messages: Iterator[Message]) -> None:
        """Begin empty; `read_forever` fills it."""
        self._wire, self._messages = wire, messages
        self.requests: queue.SimpleQueue[Optional[Message]] = queue.SimpleQueue()  # noqa: UP045 - Python 3.8
        self.is_shut_down = False
        self.batch_limit = COUNT_MAX
        self.cancel_begun: Callable[[str], None] = lambda _: None
        self.arrived: Callable[[], None] = lambda: None
        self._is_awaited = False
        self._waiting: set[str] = set()

    def read_forever(self) -> None:
        """Read until the parent goes away; answer pings; leave the process at once if nobody said goodbye."""
        try:
            for message in self._messages:
                self._take(message)
        except (OSError, ValueError):
            leave()
        if not self.is_shut_down:
            leave()

    def _take(self, message: Message) -> None:
        kind = message.get("type")
        if kind == "request":
            self._waiting.add(message["id"])
            self.requests.put(message)
            if self._is_awaited:
                self._is_awaited = False
                self.arrived()
        elif kind == "ping":
            self._wire.send(type="pong", seq=message.get("seq"))
        elif kind == "cancel":
            self._cancel(message["id"])
        elif kind == "limit":
            self.batch_limit = max(1, int(message["batch_max"]))
        elif kind == "shutdown":
            self.is_shut_down = True
            self.requests.put(None)
            self.arrived()

    def next(self) -> Message | None:
        """Wait for a request; None once the parent said shutdown, which drops what nobody began."""
        request = self.requests.get()
        return None if self.is_shut_down else request

    def next_now(self) -> Message | None:
        """Return a request; None where none waits, and then `arrived` is called once there is one, or a shutdown."""
        self._is_awaited = True  # before it looks, lest what comes meanwhile wakes nobody
        try:
            request = self.requests.get_nowait()
        except queue.Empty:
            return None
        self._is_awaited = False
        return None if self.is_shut_down else request

    def begin(self, request: Message) -> bool:
        """Claim `request`; False where the parent has taken it back, and has its answer."""
        return self._claim(request["id"])

    def _cancel(self, identity: str) -> None:
        if self._claim(identity):
            self._wire.send_line(cancelled_line(identity))
        else:
            self.cancel_begun(identity)

    def _claim(self, identity: str) -> bool:
        try:
            self._waiting.remove(identity)
        except KeyError:
            return False
        return True


def serve_single(server: Server, inbox: Inbox, wire: Wire) -> None:
    """Answer one request after the other; a response goes out with the next one's `started`, in one write."""
    while True:
        if inbox.requests.empty():
            wire.release()
        request = inbox.next()
        if request is None:
            return wire.release()
        if not inbox.begin(request):
            continue
        wire.send_line(started_line(request["id"]))
        line = server.answer_one(request)
        wire.hold(line)
        leave_if_lost(line, wire)


def leave_if_lost(line: bytes, wire: Wire) -> None:
    """End this process where `line` says that the device is lost: all that followed would be errors."""
    if line.startswith(ERROR_START) and b'"kind":"device_lost"' in line:
        wire.release()
        os._exit(_LOST_EXIT)


def serve_batches(server: Server, inbox: Inbox, wire: Wire, batch_max: int) -> None:
    """Answer as many requests at a time as wait, up to `batch_max` and to what the parent has limited it to."""
    while not inbox.is_shut_down:
        batch: list[Message] = []
        while len(batch) < min(batch_max, inbox.batch_limit) and (not batch or not inbox.requests.empty()):
            request = inbox.next()
            if request is None:
                break
            if inbox.begin(request):
                batch.append(request)
        if batch:
            wire.send(type="started", ids=[request["id"] for request in batch])
            for lines in server.answer_batch(batch):
                wire.send_line(lines)
                leave_if_lost(lines, wire)


class UnderWay:
    """The requests of an asynchronous runner that are under way on one event loop, on which all of this happens.

    What is to be said of them is held back for a turn of the loop at most, and goes out in one write.
    """

    def __init__(self, server: Server, inbox: Inbox, wire: Wire, concurrency: int) -> None:
        """Begin with none; `fill` begins them."""
        import asyncio

        self._server, self._inbox, self._wire, self._concurrency = server, inbox, wire, concurrency
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[str, asyncio.Task[bytes]] = {}
        self._cancelled: set[str] = set()
        self._is_filling = self._is_winding_down = False
        self.ended: asyncio.Future[None] = self._loop.create_future()
        inbox.arrived = functools.partial(self._call_soon, self.fill_soon)
        inbox.cancel_begun = functools.partial(self._call_soon, self._cancel)

    def fill_soon(self) -> None:
        """Let the next turn of the loop begin what there is room for."""
        if not self._is_filling:
            self._is_filling = True
            self._loop.call_soon(self._fill)

    def _fill(self) -> None:
        """Begin requests; that, and the answers held back, is written before the first of them takes a step."""
        self._is_filling = False
        while len(self._tasks) < self._concurrency:
            request = self._inbox.next_now()
            if request is None:
                break
            if self._inbox.begin(request):
                self._begin(request)
        self._wire.release()
        if self._inbox.is_shut_down and not self._is_winding_down:
            self._is_winding_down = True
            self._server.wind_down()
        if self._inbox.is_shut_down and not self._tasks and not self.ended.done():
            self.ended.set_result(None)

    def _begin(self, request: Message) -> None:
        identity = request["id"]
        self._wire.hold(started_line(identity))
        task = self._tasks[identity] = self._loop.create_task(self._server.answer_async(request))
        task.add_done_callback(functools.partial(self._finish, identity))

    def _finish(self, identity: str, task: asyncio.Task[bytes]) -> None:
        del self._tasks[identity]
        line = None if task.cancelled() else task.result()  # one that never ran is cancelled, others end with a line
        if line is None or (identity in self._cancelled and line.startswith(ERROR_START)):
            line = cancelled_line(identity)
        self._cancelled.discard(identity)
        self._wire.hold(line)
        leave_if_lost(line, self._wire)
        self.fill_soon()

    def _cancel(self, identity: str) -> None:
        if identity in self._tasks:  # else it is finished
            self._cancelled.add(identity)
            self._tasks[identity].cancel()

    def _call_soon(self, act: Callable[..., None], *arguments: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(act, *arguments)


async def serve_async(server: Server, inbox: Inbox, wire: Wire, concurrency: int) -> None:
    """Answer up to `concurrency` requests at the same time on one event loop."""
    under_way = UnderWay(server, inbox, wire, concurrency)
    under_way.fill_soon()
    await under_way.ended


def guard_group() -> None:
    """Start a process that waits for us or our parent to be gone, and then kills all that we are and have started.

    A worker that is killed, stopped, or that holds the interpreter lock, can't do so itself. Behind a launcher the
    group need not be ours, and stays as it is; the first process of a container takes all others with it anyway.
    To be called before there is a thread, or anything that a fork may not share.
    """
    worker, parent = os.getpid(), os.getppid()
    if os.getpgrp() != worker or worker == 1:
        return
    watched = (worker, parent) if parent > 1 else (worker,)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the group is asked to end, it is not
    descriptors = open_processes(watched)
    lives = [read_life(pid) for pid in watched]
    if os.getppid() != parent:
        leave()
    fork_away(lambda: guard(watched, descriptors, lives))
    for descriptor in descriptors:
        os.close(descriptor)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fork_away(act: Callable[[], None]) -> None:
    """Let a process `act` that is nobody's child: a runner's own `os.wait` must neither reap it nor wait for it."""
    middle = os.fork()
    if middle:
        with contextlib.suppress(ChildProcessError):  # where SIGCHLD is ignored nobody is left to be waited for
            if os.waitpid(middle, 0)[1]:
                raise OSError("the process that guards this worker's group cannot be started")
        return
    status = 1
    try:
        if os.fork() == 0:
            act()
        status = 0
    finally:
        os._exit(status)


def open_processes(pids: tuple[int, ...]) -> list[int]:
    """Return a descriptor for each process that is readable once it has ended; nothing where that is unknown.

    They are pidfds (Linux 5.3, Python 3.9). A pipe would tell nothing: what the runner forks holds its end, too.
    Nor would `getppid`: the guard is not our child.
    """
    descriptors: list[int] = []
    try:
        for pid in pids:
            descriptors.append(os.pidfd_open(pid))  # noqa: PERF401 - those opened before one fails must be closed
    except (AttributeError, OSError):
        for descriptor in descriptors:
            os.close(descriptor)
        return []
    return descriptors


def read_life(pid: int) -> int | None:
    """Return what tells a living process from a later one of the same number; None where it has ended."""
    try:
        stat = read_stat(Path(f"/proc/{pid}"))
        return None if stat[0] in b"ZX" else int(stat[19])  # the time of its start
    except OSError:  # there is no /proc, and numbers are not given out again within a poll's time
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return 0


def read_stat(folder: Path) -> list[bytes]:
    """Return what follows a process's name: state, parent, group, session and so on."""
    return (folder / "stat").read_bytes().rpartition(b")")[2].split()


def guard(watched: tuple[int, ...], descriptors: list[int], lives: list[int | None]) -> None:
    """Wait for the first of `watched` to end, kill what is left of the worker, and end with it."""
    low = 0
    for descriptor in (*sorted(descriptors), 4096):  # the orchestrator waits for the end of each of the others
        os.closerange(low, descriptor)
        low = descriptor + 1
    if descriptors:
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        poll.poll()
    while not descriptors and [read_life(pid) for pid in watched] == lives:
        time.sleep(_GUARD_POLL_S)
    token, deadline = os.environ.get(_MARK), time.monotonic() + _GUARD_S
    while token and (left := find_left(token, watched[0], lives[0] or 0)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    os.killpg(0, signal.SIGKILL)  # and this process


def find_left(token: str, leader: int, born: int) -> list[int]:
    """Return the pids of what lives of a worker; process.py says how, and has the same function."""
    mark = f"{_MARK}={token}".encode()
    rows = list(_read_processes(mark, born))
    sessions = {leader, *(session for _, _, session, is_marked in rows if is_marked)}
    if os.getsid(0) != leader:
        sessions.discard(os.getsid(0))
    left = [(group == leader, pid) for pid, group, session, is_marked in rows if is_marked or session in sessions]
    return [pid for _, pid in sorted(left) if pid != os.getpid()]


def _read_processes(mark: bytes, born: int) -> Iterator[tuple[int, int, int, bool]]:
    for folder in Path("/proc").glob("[1-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or hides itself
            stat = read_stat(folder)
            if stat[0] in b"ZX" or int(stat[19]) < born:
                continue
            environment = b""
            with contextlib.suppress(PermissionError):  # another user's
                environment = (folder / "environ").read_bytes()
            yield int(folder.name), int(stat[2]), int(stat[3]), mark in environment.split(b"\0")


def leave() -> None:
    """End at once because the parent is gone; where the group is ours, what guards it ends all that we started."""
    if os.getpgrp() == os.getpid():
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(_EOF_EXIT)  # a container's first process does not die of its own SIGKILL


def watch_parent(parent_pid: int | None) -> None:
    """End this process when the parent is gone, however it went; only where the parent is our direct one.

    EOF alone is not enough (another process may hold the pipe's other end), nor is a signal (Linux only).
    """
    if os.getppid() != parent_pid:
        return
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):  # a Python may lack ctypes
            import ctypes

            ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent_pid:  # it died before the signal was armed
        leave()

    def poll() -> None:
        while os.getppid() == parent_pid:
            time.sleep(_PARENT_POLL_S)
        leave()

    threading.Thread(target=poll, daemon=True).start()


def load(wire: Wire, message: Message, spill: str, folders: tuple[str, ...]) -> Server | None:
    """Import the runner and load its model; send the error and return None where that fails."""
    try:
        return Server(import_runner(Path(folders[0]), folders[1:]), message.get("params") or {}, spill)
    except BaseException as error:  # noqa: BLE001 - whatever a runner raises is an answer
        wire.send_line(error_line(None, error))
        return None


def serve(server: Server, inbox: Inbox, wire: Wire, message: Message) -> None:
    """Say `loaded`, and answer in the runner's form until the parent says shutdown."""
    batch_max = message.get("batch_max", 1) if server.form == "generate_batch" else 1
    concurrency = message.get("concurrency", 1) if server.form == "async" else 1
    wire.send(type="loaded", batch_max=batch_max, concurrency=concurrency, info={"form": server.form})
    if server.form == "generate":
        serve_single(server, inbox, wire)
    elif server.form == "generate_batch":
        serve_batches(server, inbox, wire, batch_max)
    else:
        import asyncio  # it takes 50 ms that only few runners need

        asyncio.run(serve_async(server, inbox, wire, concurrency))
    wire.send(type="bye")


def main(*folders: str) -> int:
    """Serve the runner in the first of `folders`, the others on its path; return the exit status."""
    guard_group()
    wire = Wire(_WIRE_IN, _WIRE_OUT)
    messages = wire.lines()
    hello = next(messages, {})
    watch_parent(hello.get("parent_pid"))
    nonce, python = hello.get("nonce"), platform.python_version()
    runner = Path(folders[0]).name
    wire.send(type="hello", protocol=PROTOCOL, nonce=nonce, python=python, runner=runner)
    message = next(messages, {})
    if message.get("type") != "load":
        return 0
    inbox = Inbox(wire, messages)
    threading.Thread(target=inbox.read_forever, daemon=True).start()
    server = load(wire, message, hello.get("spill_folder") or ".", folders)
    if server is None:
        return 1
    serve(server, inbox, wire, message)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
