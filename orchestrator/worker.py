"""Serve one runner over JSON lines: the child's side of the wire, standard library only, run by the env's own Python.

Started as `<env>/bin/python -I -u -X utf8 -X faulthandler worker.py RUNNER_FOLDER [HELPER_FOLDER…]`.
"""

if __name__ == "__main__":
    # The wire moves to private descriptors before anything else is imported, so that prints from Python, C and
    # grandchildren reach stderr and never the wire. os.dup gives descriptors that children do not inherit (PEP 446).
    import os

    _WIRE_IN, _WIRE_OUT = os.dup(0), os.dup(1)
    _null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(_null, 0)
    os.close(_null)
    os.dup2(2, 1)

import asyncio
import contextlib
import ctypes
import hashlib
import importlib.util
import inspect
import json
import os
import platform
import queue
import signal
import sys
import threading
import time
import traceback

PROTOCOL = 1
LINE_BYTES = 4 << 20
TRACEBACK_CHARS = 16_000
KINDS = frozenset(
    {"bad_input", "bad_params", "oom", "transient", "rate_limited", "refused", "device_lost", "bug"}
)
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
_PARENT_POLL_S = 1.0


class Wire:
    """The descriptors of the parent: lines in, lines out; writing is safe from every thread."""

    def __init__(self, incoming, outgoing):
        self._incoming, self._outgoing = incoming, outgoing
        self._lock = threading.Lock()
        self._held = b""
        self.spill_folder = None

    def lines(self):
        """Yield the parent's messages until it closes its end."""
        rest = b""
        while True:
            chunk = os.read(self._incoming, 1 << 18)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)

    def hold(self, line):
        """Keep `line` back until the next `send_line`, so that both go out in one write."""
        with self._lock:
            self._held += line

    def send_line(self, line):
        """Write what is held and `line`, whole."""
        with self._lock:
            data, self._held = self._held + line, b""
            while data:
                data = data[os.write(self._outgoing, data) :]

    def release(self):
        """Write what is held."""
        if self._held:
            self.send_line(b"")

    def send(self, **message):
        """Encode and write `message`."""
        self.send_line(encode(message))


def encode(message):
    """Return the line of `message`: ASCII, one object, no NaN; foreign number types become plain ones."""
    try:
        text = _dumps(message)
    except ValueError:  # NaN or infinity, which are no JSON
        text = _dumps(_without_nan(message))
    return text.encode("ascii") + b"\n"


def _plain(value):
    """Turn numpy and torch scalars and arrays, paths, sets and the like into JSON."""
    for method in ("tolist", "item"):
        if hasattr(value, method):
            return getattr(value, method)()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain).encode


def _without_nan(value):
    plain = json.loads(json.dumps(value, default=_plain), parse_constant=lambda _: None)
    return plain


class Runner:
    """The runner's module: `load`, and exactly one of the three ways to answer."""

    def __init__(self, folder, helper_folders):
        sys.path += [folder, *helper_folders]
        path = os.path.join(folder, "runner.py")
        spec = importlib.util.spec_from_file_location("runner", path)
        self.module = importlib.util.module_from_spec(spec)
        sys.modules["runner"] = self.module
        spec.loader.exec_module(self.module)
        self.form = self._find_form()

    def _find_form(self):
        if not callable(getattr(self.module, "load", None)):
            raise TypeError("runner.py has no load(params)")
        forms = [name for name in ("generate", "generate_batch") if callable(getattr(self.module, name, None))]
        if len(forms) != 1:
            found = " and ".join(forms) or "neither"
            raise TypeError(f"runner.py must define exactly one of generate and generate_batch, it has {found}")
        if inspect.iscoroutinefunction(getattr(self.module, forms[0])):
            if forms[0] == "generate_batch":
                raise TypeError("runner.py: generate_batch must not be async; define async def generate instead")
            return "async"
        return forms[0]


class Server:
    """Answer the parent's requests with one loaded model."""

    def __init__(self, wire, runner, state, params):
        self.wire, self.runner, self.state, self.params = wire, runner, state, params

    def answer_one(self, request):
        """Ask `generate` for one request and return the line to send."""
        start = time.perf_counter()
        try:
            answer = self.runner.module.generate(self.state, self._arguments(request))
            return self._response(request["id"], answer, time.perf_counter() - start, 1)
        except BaseException as error:  # noqa: BLE001 - whatever a runner raises is an answer
            return self._error(request["id"], error)

    def answer_batch(self, requests):
        """Ask `generate_batch`; where it fails, each request is asked again alone. Returns the lines to send."""
        start = time.perf_counter()
        try:
            answers = self.runner.module.generate_batch(self.state, [self._arguments(r) for r in requests])
            if not isinstance(answers, (list, tuple)) or len(answers) != len(requests):
                raise TypeError(
                    f"generate_batch must return a list of {len(requests)} answers, got {_described(answers)}"
                )
        except BaseException as error:  # noqa: BLE001 - whatever a runner raises is an answer
            if len(requests) > 1 and classify(error) != "device_lost":
                return b"".join(self.answer_batch([request]) for request in requests)
            return b"".join(self._error(request["id"], error) for request in requests)
        elapsed = time.perf_counter() - start
        return b"".join(
            self._checked(r["id"], a, elapsed, len(requests)) for r, a in zip(requests, answers)  # noqa: B905
        )

    async def answer_async(self, request):
        """Await `generate` for one request and return the line to send."""
        start = time.perf_counter()
        try:
            answer = await self.runner.module.generate(self.state, self._arguments(request))
            return self._response(request["id"], answer, time.perf_counter() - start, 1)
        except BaseException as error:  # noqa: BLE001 - whatever a runner raises is an answer
            return self._error(request["id"], error)

    def _arguments(self, request):
        params = request.get("params")
        arguments = {
            "id": request["id"],
            "prompt": request["prompt"],
            "system": request.get("system"),
            "images": [image["path"] for image in request.get("images") or ()],
            "params": {**self.params, **params} if params else self.params,
        }
        if request.get("messages") is not None:
            arguments["messages"] = request["messages"]
        return arguments

    def _checked(self, identity, answer, elapsed, batch_size):
        try:
            return self._response(identity, answer, elapsed, batch_size)
        except Exception as error:  # noqa: BLE001 - a malformed answer is this request's error
            return self._error(identity, error)

    def _response(self, identity, answer, elapsed, batch_size):
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
            raise TypeError(f'an answer is a dict with "text", a str; got {_described(answer)}')
        stop_reason = answer.get("stop_reason") or "unknown"
        if stop_reason not in STOP_REASONS:
            raise ValueError(f"stop_reason {stop_reason!r} is none of {', '.join(sorted(STOP_REASONS))}")
        message = {
            "type": "response",
            "id": identity,
            "text": answer["text"],
            "stop_reason": stop_reason,
            "input_tokens": _count(answer, "input_tokens"),
            "output_tokens": _count(answer, "output_tokens"),
            "latency_s": round(elapsed, 6),
            "batch_size": batch_size,
            "info": answer.get("info"),
        }
        line = encode(message)
        return line if len(line) <= LINE_BYTES else self._spilled(message)

    def _spilled(self, message):
        """Put a text that is too long for a line into a file, and refer to it."""
        data = message["text"].encode("utf-8", "replace")
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.wire.spill_folder, digest + ".txt"), "wb") as file:
            file.write(data)
        line = encode({**message, "text": "", "text_sha256": digest})
        if len(line) > LINE_BYTES:
            raise ValueError(f"info is {len(line)} bytes long; a line may have {LINE_BYTES}")
        return line

    def _error(self, identity, error):
        message = {"type": "error", "id": identity, "kind": classify(error), **described(error)}
        return encode(message)


def classify(error):
    """Return the kind of `error`: its own `kind` attribute, or what its class is known for, or `bug`."""
    kind = getattr(error, "kind", None)
    if isinstance(kind, str) and kind in KINDS:
        return kind
    for base in type(error).__mro__:
        if base.__name__ in _KIND_OF_CLASS:
            return _KIND_OF_CLASS[base.__name__]
    return "bug"


def described(error):
    """Return message and traceback of `error`, cut to a readable length."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    text = str(error)
    name = type(error).__name__
    message = text if text and getattr(error, "kind", None) else f"{name}: {text}" if text else name
    return {"message": message[:2000], "traceback": "".join(lines)[-TRACEBACK_CHARS:]}


def _described(value):
    return f"a list of {len(value)}" if isinstance(value, (list, tuple)) else type(value).__name__


def _count(answer, name):
    value = answer.get(name)
    return None if value is None else int(value)


class Inbox:
    """What the reader thread hands to the main thread: requests in order, None at the end."""

    def __init__(self, wire):
        self.wire = wire
        self.requests = queue.SimpleQueue()
        self.cancelled = set()
        self.is_shut_down = False
        self.on_request = self.requests.put

    def read_forever(self):
        """Read until the parent goes away; answer pings; leave the process at once if nobody said goodbye."""
        try:
            for message in self.wire.lines():
                self._take(message)
        except (OSError, ValueError):
            os._exit(_EOF_EXIT)
        if not self.is_shut_down:
            os._exit(_EOF_EXIT)

    def _take(self, message):
        kind = message.get("type")
        if kind == "request":
            self.on_request(message)
        elif kind == "ping":
            self.wire.send(type="pong", seq=message.get("seq"))
        elif kind == "cancel":
            self.cancelled.add(message.get("id"))
        elif kind == "shutdown":
            self.is_shut_down = True
            self.on_request(None)

    def is_cancelled(self, request):
        """Tell whether the parent has taken `request` back."""
        if self.cancelled and request["id"] in self.cancelled:
            self.cancelled.discard(request["id"])
            return True
        return False


def serve_single(server, inbox):
    """Answer one request after the other. A response goes out with the next request's `started`, in one write."""
    wire = server.wire
    while True:
        if inbox.requests.empty():
            wire.release()
        request = inbox.requests.get()
        if request is None:
            return wire.release()
        if inbox.is_cancelled(request):
            continue
        wire.send_line(b'{"type":"started","ids":["%b"]}\n' % request["id"].encode("ascii"))
        wire.hold(server.answer_one(request))


def serve_batches(server, inbox, batch_max):
    """Answer as many requests at a time as wait, up to `batch_max`."""
    wire = server.wire
    while True:
        batch, is_last = _next_batch(inbox, batch_max)
        if batch:
            wire.send(type="started", ids=[request["id"] for request in batch])
            wire.send_line(server.answer_batch(batch))
        if is_last:
            return


def _next_batch(inbox, batch_max):
    """Wait for a request and take what waits behind it; also tell whether it is the end."""
    batch = []
    while len(batch) < batch_max and (not batch or not inbox.requests.empty()):
        request = inbox.requests.get()
        if request is None:
            return batch, True
        if not inbox.is_cancelled(request):
            batch.append(request)
    return batch, False


async def serve_async(server, inbox, concurrency):
    """Answer up to `concurrency` requests at the same time on one event loop."""
    loop = asyncio.get_running_loop()
    waiting = asyncio.Queue()
    inbox.on_request = lambda request: loop.call_soon_threadsafe(waiting.put_nowait, request)
    while not inbox.requests.empty():
        waiting.put_nowait(inbox.requests.get())
    slots = asyncio.Semaphore(concurrency)
    tasks = set()

    async def answer(request):
        server.wire.send(type="started", ids=[request["id"]])
        server.wire.send_line(await server.answer_async(request))
        slots.release()

    while True:
        await slots.acquire()
        request = await waiting.get()
        if request is None:
            break
        if inbox.is_cancelled(request):
            slots.release()
            continue
        task = loop.create_task(answer(request))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)


def watch_parent(parent_pid):
    """End this process when the parent is gone, however it went; only where the parent is our direct one.

    EOF alone is not enough (another process may hold the pipe's other end), nor is a signal (Linux only).
    """
    if os.getppid() != parent_pid:
        return
    if sys.platform == "linux":
        with contextlib.suppress(Exception):
            ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent_pid:  # it died before the signal was armed
        os._exit(_EOF_EXIT)

    def poll():
        while os.getppid() == parent_pid:
            time.sleep(_PARENT_POLL_S)
        os._exit(_EOF_EXIT)

    threading.Thread(target=poll, daemon=True).start()


def handshake(wire, messages, runner_name):
    """Answer the parent's hello and return it."""
    hello = next(messages)
    watch_parent(hello.get("parent_pid"))
    wire.spill_folder = hello.get("spill_folder")
    wire.send(
        type="hello",
        protocol=PROTOCOL,
        nonce=hello.get("nonce"),
        python=platform.python_version(),
        runner=runner_name,
    )
    return hello


def load(wire, message, folder, helper_folders):
    """Import the runner and load its model; send `loaded`, or the error, and return a server or None."""
    params = message.get("params") or {}
    try:
        runner = Runner(folder, helper_folders)
        state = runner.module.load(dict(params))
    except BaseException as error:  # noqa: BLE001 - whatever a runner raises is an answer
        wire.send(type="error", id=None, kind=classify(error), **described(error))
        return None
    limits = {
        "batch_max": message.get("batch_max", 1) if runner.form == "generate_batch" else 1,
        "concurrency": message.get("concurrency", 1) if runner.form == "async" else 1,
    }
    wire.send(type="loaded", info={"form": runner.form}, **limits)
    server = Server(wire, runner, state, params)
    server.limits = limits
    return server


def main(folder, *helper_folders):
    """Serve until the parent says shutdown; return the exit status."""
    wire = Wire(_WIRE_IN, _WIRE_OUT)
    messages = wire.lines()
    handshake(wire, messages, os.path.basename(folder))
    message = next(messages, None)
    if message is None or message.get("type") != "load":
        return 0
    inbox = Inbox(wire)
    inbox.wire.lines = lambda: messages
    threading.Thread(target=inbox.read_forever, daemon=True).start()
    server = load(wire, message, folder, helper_folders)
    if server is None:
        return 1
    if server.runner.form == "generate":
        serve_single(server, inbox)
    elif server.runner.form == "generate_batch":
        serve_batches(server, inbox, server.limits["batch_max"])
    else:
        asyncio.run(serve_async(server, inbox, server.limits["concurrency"]))
    wire.send(type="bye")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
