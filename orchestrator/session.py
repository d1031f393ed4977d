"""The parent's side of one worker: start it, keep a window of requests in flight, read everything, end it for sure."""

import os
import secrets
import selectors
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from orchestrator import protocol
from orchestrator.errors import BakeoffError
from orchestrator.flights import Flights
from orchestrator.intake import make_redactor, read_message
from orchestrator.process import Child, spawn
from orchestrator.protocol import Bye, Failure, Hello, LineSplitter, Loaded, Log, Message, Response, Started
from orchestrator.redaction import Redactor
from orchestrator.stderr_log import LAST_LINES, StderrLog
from orchestrator.worker_life import Begun, Cause, Event, Gone, Ready, TimedOut, WorkerSpec, describe_exit

CHUNK_BYTES = 1 << 20
NOISE_LINES, NOISE_BYTES = 200, 64 << 10
WINDOW_MIN, WINDOW_MAX = 256, 1024
GRACE_S, TERM_S, KILL_S = 5.0, 5.0, 2.0
DRAIN_S = 1.0
CANCEL_S = 10.0
LOAD_HARD_S = 6 * 3600.0
LAST_CHUNKS = 16
UNKNOWN_IDS_MAX = 10
REMEMBERED, REMEMBERED_CHARS = 256, 4096
_CLOCK_EVERY_S = 0.2


@dataclass(slots=True)
class Session:
    """One worker, from start to end. Use it as a context manager; leaving kills what is still alive.

    `start` starts its process, from a thread that outlives it: the worker dies with the one that started it. `poll`
    gives what happened, `send` takes a request while `free` is positive; requests leave with the next `flush` or
    `poll`. `redactor` has taken the secrets out of all that comes from here, but a spilled text.

    Whoever goes on after the loss of a request says `is_supervised`, and is told of each what became of it: only then
    does `poll` give `Begun` and `TimedOut`.
    """

    spec: WorkerSpec
    notify: Callable[[str], None] = lambda _: None
    is_supervised: bool = False
    start: Callable[[Sequence[str], Mapping[str, str], Path], Child] = spawn
    window: int = field(init=False, default=0)
    redactor: Redactor = field(init=False)
    _child: Child = field(init=False)
    _selector: selectors.BaseSelector = field(init=False, default_factory=selectors.DefaultSelector)
    _log: StderrLog = field(init=False)
    _splitter: LineSplitter = field(init=False, default_factory=LineSplitter)
    _outgoing: bytearray = field(init=False, default_factory=bytearray)
    _flights: Flights = field(init=False)
    _nonce: str = field(init=False, default_factory=lambda: secrets.token_hex(8))
    _state: Literal["hello", "loading", "ready", "closing", "gone"] = field(init=False, default="hello")
    _born: float = field(init=False, default_factory=time.monotonic)
    _clock: float = field(init=False, default=0.0)
    _load_since: float = field(init=False, default_factory=time.monotonic)
    _phase: str = field(init=False, default="")
    _news: str = field(init=False, default="")
    _noise: list[bytes] = field(init=False, default_factory=list)
    _unknown: int = field(init=False, default=0)
    _answers: dict[str, str] = field(init=False, default_factory=dict)
    _begun: list[str] = field(init=False, default_factory=list)
    _concurrency: int = field(init=False, default=1)
    _limit: int | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        """Start the worker and say hello."""
        self._flights = Flights(self.spec.item_timeout_s)
        self.redactor = make_redactor(self.spec.secrets)
        self._log = StderrLog(self.spec.log, self.redactor)
        with ExitStack() as on_failure:
            on_failure.callback(self._selector.close)
            on_failure.enter_context(self._log)
            self._child = self.start(self.spec.argv, self.spec.environment, self.spec.folder)
            on_failure.pop_all()
        for name in ("stdout", "stderr"):
            self._selector.register(getattr(self._child, name), selectors.EVENT_READ, name)
        self._say(self.spec.hello(self._nonce))
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what is left of the worker and its descendants, and close every pipe."""
        self._child.kill(KILL_S)
        self._selector.close()
        self._child.close()
        self._log.__exit__()

    @property
    def is_gone(self) -> bool:
        """Tell whether the worker is no more."""
        return self._state == "gone"

    @property
    def loading(self) -> str | None:
        """What it said last of its loading, or on stderr, perhaps nothing; None where it is not loading."""
        return (self._news or self._log.last_line()) if self._state in {"hello", "loading"} else None

    @property
    def last_words(self) -> list[str]:
        """The last lines of its stderr."""
        return self._log.last_lines(LAST_LINES)

    @property
    def free(self) -> int:
        """How many more requests the window takes now."""
        if self._state != "ready":
            return 0
        return self.window - len(self._flights.deadlines) - len(self._flights.cancelled)

    @property
    def in_flight(self) -> int:
        """How many requests were sent and not answered."""
        return len(self._flights.deadlines)

    def send(self, request: dict[str, Any]) -> None:
        """Put `request` (with `type`, `id` and the rest) on the wire; the caller has seen `free` > 0.

        Raises ProtocolError where it is too long for a line; nothing is sent then.
        """
        line = protocol.encode(request)
        self._flights.send(request["id"])
        self._outgoing += line

    def cancel(self, identity: str) -> None:
        """Tell the worker that nobody waits for the request any more.

        Ours answers all the same, with `transient` and "cancelled" where it has stopped the work, or never began it.
        """
        self._say({"type": "cancel", "id": identity})

    def limit(self, batch_max: int) -> None:
        """Ask for batches of at most `batch_max` requests, or for no more at the same time than that.

        A worker that answers several requests at the same time gets no more than it may work on; any other gets the
        message, and ignores it if it does not know it. May be called before the worker is ready.
        """
        self._limit = batch_max
        if self._state == "ready":
            self._apply_limit(batch_max)

    def abandon(self, reason: str) -> Gone:
        """End a worker that has become useless though it lives."""
        return self._lost("crashed", reason)

    def flush(self) -> None:
        """Write as much as the pipe takes; the rest goes out while polling."""
        try:
            while self._outgoing:
                del self._outgoing[: os.write(self._child.stdin, self._outgoing)]
        except BlockingIOError:
            self._watch_stdin(True)
            return
        except OSError:  # the worker closed its end; reading will tell why
            self._outgoing.clear()
        self._watch_stdin(False)

    def poll(self, timeout_s: float) -> list[Event]:
        """Wait up to `timeout_s` for something to happen and return it in order.

        A `Gone` is always the last event, and the `Begun` of this poll comes after its answers and before the `Gone`.
        """
        self.flush()
        events: list[Event] = []
        try:
            for key, _ in self._selector.select(timeout_s):
                self._on_ready(key.data, events)
            self._check_clocks(events)
        except protocol.ProtocolError as error:
            events.append(self._lost("protocol", f"it broke the protocol: {error}"))
        if self._begun:
            self._tell_begun(events)
        return events

    def close(self, grace_s: float = GRACE_S) -> Iterator[list[Event]]:
        """Let the worker end by itself and make sure that it does: shutdown, EOF, SIGTERM, SIGKILL, each bounded.

        It finishes what it began within `grace_s`. Yields what still comes, again and again, so that whoever
        closes can lose patience between two.
        """
        if self.is_gone:
            return
        steps: list[tuple[float, Callable[[], None]]] = [(TERM_S, self._child.terminate)]
        if self._state == "ready":  # one that is still loading has nothing to finish
            steps.insert(0, (grace_s, lambda: self._say({"type": "shutdown"})))
        self._state = "closing"
        for patience_s, push in steps:
            push()
            deadline = time.monotonic() + patience_s
            while not self.is_gone and (left := deadline - time.monotonic()) > 0:
                self.flush()
                if not self._outgoing:
                    self._child.close_stdin()
                yield self.poll(min(left, _CLOCK_EVERY_S))
        if not self.is_gone:
            yield [self._lost("closed", "it would not end and was killed")]

    def _tell_begun(self, events: list[Event]) -> None:
        """Add which of the requests begun since the last poll are under way still, or were when the worker ended."""
        last = events[-1] if events else None
        is_over = isinstance(last, Gone)
        under_way = last.suspects if isinstance(last, Gone) else self._flights.deadlines
        if begun := tuple(identity for identity in self._begun if identity in under_way):
            events.insert(len(events) - is_over, Begun(begun))
        self._begun.clear()

    def _apply_limit(self, batch_max: int) -> None:
        if self._concurrency > 1:
            self.window = min(self.window, batch_max)
        else:
            self._say({"type": "limit", "batch_max": batch_max})

    def _say(self, message: dict[str, Any]) -> None:
        self._outgoing += protocol.encode(message)

    def _watch_stdin(self, wanted: bool) -> None:
        registered = self._child.stdin in self._selector.get_map() if self._child.stdin >= 0 else False
        if wanted and not registered:
            self._selector.register(self._child.stdin, selectors.EVENT_WRITE, "stdin")
        elif registered and not wanted:
            self._selector.unregister(self._child.stdin)

    def _on_ready(self, pipe: str, events: list[Event]) -> None:
        if pipe == "stdin":
            self.flush()
            return
        try:
            chunk = os.read(getattr(self._child, pipe), CHUNK_BYTES)
        except BlockingIOError:
            return
        if pipe == "stderr":
            self._log.write(chunk)
        if not chunk:
            self._selector.unregister(getattr(self._child, pipe))
            if pipe == "stdout" and not self.is_gone:
                events.append(self._ended())
        elif pipe == "stdout":
            self._take(chunk, events)

    def _take(self, chunk: bytes, events: list[Event]) -> None:
        for line in self._splitter.feed(chunk):
            if self.is_gone:
                return
            if self._state == "ready" and (identity := protocol.match_started(line)):
                self._start([identity])
            elif self._state == "hello":
                self._take_hello(line)
            else:
                self._take_message(read_message(line, self.redactor), events)

    def _take_hello(self, line: bytes) -> None:
        """Wait for the line with our nonce; what a launcher or a site's start-up files print before it is noise."""
        try:
            message = protocol.decode(line)
        except protocol.ProtocolError:
            message = None
        if not isinstance(message, Hello) or message.nonce != self._nonce:
            self._log.note(line + b"\n")
            self._noise.append(line)
            if len(self._noise) > NOISE_LINES or sum(map(len, self._noise)) > NOISE_BYTES:
                raise protocol.ProtocolError("it printed much, but never the hello of a worker")
            return
        if message.protocol != protocol.PROTOCOL:
            raise protocol.ProtocolError(f"it speaks protocol {message.protocol}, we speak {protocol.PROTOCOL}")
        self._state = "loading"
        self._say(self.spec.load())

    def _take_message(self, message: Message, events: list[Event]) -> None:
        if type(message) is Response:  # these two are all but a few of the messages
            self._take_answer(message, events)
            return
        if type(message) is Started:
            self._start(message.ids)
            return
        match message:
            case Failure():
                self._take_failure(message, events)
            case Loaded() if self._state == "loading":
                self._state = "ready"
                self._concurrency = message.concurrency
                self.window = min(max(WINDOW_MIN, 2 * message.batch_max * message.concurrency), WINDOW_MAX)
                if self._limit is not None:
                    self._apply_limit(self._limit)
                events.append(Ready(time.monotonic() - self._born, message.batch_max, message.concurrency))
            case Log():
                self._log.note(f"[{message.level}] {message.message}\n".encode())
            case protocol.Progress():
                self._load_since = time.monotonic()
                self._take_news(message)
            case Bye() | protocol.Pong() | Hello() | Loaded():
                pass

    def _take_news(self, progress: protocol.Progress) -> None:
        """Tell of a phase once, though there may be news of it many times a second."""
        self._news = progress.words()
        if progress.phase != self._phase:
            self._phase = progress.phase
            self.notify(f"{self.spec.model}: {progress.phase}")

    def _take_answer(self, answer: Response, events: list[Event]) -> None:
        """Take the first answer to a request; one of the latest answered again, but differently, shows a mix-up."""
        if not self._land(answer.id):
            if self._answers.get(answer.id, answer.text) != answer.text:
                raise protocol.ProtocolError(f"it answered request {answer.id} twice, differently")
            return
        events.append(answer)
        if len(answer.text) <= REMEMBERED_CHARS:
            self._answers[answer.id] = answer.text
            if len(self._answers) > REMEMBERED:
                del self._answers[next(iter(self._answers))]

    def _take_failure(self, message: Failure, events: list[Event]) -> None:
        if message.traceback:
            self._log.note(message.traceback.encode())
        if message.id is not None:
            if self._land(message.id):
                events.append(message)
        elif self._state == "loading":
            events.append(self._lost("load_failed", message.message, message))
        else:
            self._log.note(f"[{message.kind}] {message.message}\n".encode())

    def _start(self, identities: list[str]) -> None:
        begun = self._flights.start(identities)
        if self.is_supervised:
            self._begun += begun

    def _land(self, identity: str) -> bool:
        """Take a request out of flight; an answer to something never asked, or answered already, is dropped."""
        if self._flights.land(identity):
            return True
        if self._flights.land_late(identity):  # it was given back as timed out
            return False
        self._unknown += 1
        self._log.note(f"[bakeoff] dropped an answer to the unknown request {identity!r}\n".encode())
        if self._unknown > UNKNOWN_IDS_MAX:
            raise protocol.ProtocolError(f"it answered {self._unknown} requests that were not asked")
        return False

    def _check_clocks(self, events: list[Event]) -> None:
        now = time.monotonic()
        if self.is_gone or now < self._clock:
            return
        self._clock = now + _CLOCK_EVERY_S
        spec = self.spec
        if self._state == "hello" and now - self._born > spec.hello_timeout_s:
            events.append(self._lost("load_timeout", f"it did not say hello within {spec.hello_timeout_s:g} s"))
        elif self._state == "loading" and (reason := self._find_slow_load(now)):
            events.append(self._lost("load_timeout", reason))
        elif late := self._flights.find_late(now):
            self._time_out(late, events)
        elif stuck := self._flights.find_stuck(now):
            reason = f"no answer within {spec.item_timeout_s:g} s, and {CANCEL_S:g} s after it was cancelled it went on"
            events.append(self._lost("timeout", reason, timed_out=stuck))
        elif self._flights.is_stalled(now):
            reason = f"it began none of {self.in_flight} requests within {spec.item_timeout_s:g} s"
            events.append(self._lost("timeout", reason))
        elif self._child.has_exited() and not self.is_gone:
            self._drain(events)

    def _find_slow_load(self, now: float) -> str | None:
        """Say that loading takes too long: news of progress puts its end off, but not for ever."""
        limit_s = self.spec.load_timeout_s
        if now - self._load_since > limit_s:
            return f"it was not loaded within {limit_s:g} s"
        hard_s = max(limit_s, LOAD_HARD_S)  # whoever allows more than that means it
        return (
            f"it was still loading after {hard_s:g} s, though it told of progress"
            if now - self._born > hard_s
            else None
        )

    def _time_out(self, late: tuple[str, ...], events: list[Event]) -> None:
        """Give `late` back alone where the worker does several at a time and hears a cancel meanwhile.

        One that does a request or a batch at a time is busy in a call, often a native one, that no message ends.
        """
        reason = f"no answer within {self.spec.item_timeout_s:g} s"
        if self._concurrency == 1 or not self.is_supervised:
            events.append(self._lost("timeout", reason, timed_out=late))
            return
        for identity in late:
            self.cancel(identity)
            self._flights.take_back(identity, CANCEL_S)
            events.append(TimedOut(identity, reason))

    def _drain(self, events: list[Event]) -> None:
        """Read what an ended worker left in its pipe, though a grandchild may hold the other end open."""
        deadline = time.monotonic() + DRAIN_S
        while not self.is_gone and time.monotonic() < deadline:
            ready = self._selector.select(0)
            if not ready:
                break
            for key, _ in ready:
                self._on_ready(key.data, events)
        if not self.is_gone:
            events.append(self._ended())

    def _ended(self) -> Gone:
        """Say how a worker ended that nobody killed: by its exit status, and the last words of its stderr."""
        status = self._child.wait(DRAIN_S)
        if self._state == "closing":
            return self._lost("closed", "it was shut down")
        cause: Literal["load_failed", "crashed"] = "crashed" if self._state == "ready" else "load_failed"
        return self._lost(cause, describe_exit(status))

    def _lost(
        self,
        cause: Cause,
        reason: str,
        error: Failure | None = None,
        timed_out: tuple[str, ...] = (),
    ) -> Gone:
        """End the worker, whatever it does, and give back every request: the one way out of the session."""
        is_dead = self._child.kill(KILL_S)
        self._read_last_words()
        self._state = "gone"
        suspects, waiting = self._flights.end()
        if cause in {"crashed", "load_failed", "protocol"} and error is None and (words := self._log.last_line()):
            reason = f"{reason}; its last words: {words}"
        if not is_dead:
            reason = f"{reason}; {self._tell_survival()}"
        return Gone(reason, cause, suspects, timed_out, waiting, error)

    def _tell_survival(self) -> str:
        who = "what it started" if self._child.has_exited() else "it"
        words = f"{who} could not be killed within {KILL_S:g} s"
        self._log.note(f"[bakeoff] {words}\n".encode())
        return words

    def _read_last_words(self) -> None:
        with suppress(OSError):
            for _ in range(LAST_CHUNKS):  # a descendant that got away may go on talking
                self._log.write(os.read(self._child.stderr, CHUNK_BYTES))
        self._log.finish()


def require_posix() -> None:
    """Raise BakeoffError where pipes cannot be waited for."""
    if os.name != "posix":
        raise BakeoffError("running models needs Linux or macOS; on Windows use WSL")
