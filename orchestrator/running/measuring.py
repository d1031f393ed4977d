"""Have answers judged by a metric that runs in an environment and a process of its own, on the wire of the runners."""

import hashlib
import itertools
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from orchestrator.config import Model, Workspace
from orchestrator.env import ensure_env, lock_digest, use_env
from orchestrator.errors import BakeoffError
from orchestrator.identity import canonical, digest_runner
from orchestrator.manifest import Runner
from orchestrator.protocol import Failure, ProtocolError, Response
from orchestrator.running.worker_spec import make_spec
from orchestrator.session import Session, require_posix
from orchestrator.worker_life import Gone, TimedOut

CACHE_NAME = ".metrics.sqlite"
POLL_S = 0.5
LOSSES_MAX, DEATHS_MAX = 5, 50
CRASHED, TIMED_OUT, FAILED, UNUSABLE = "metric_crashed", "metric_timeout", "metric_error", "metric_unusable"


class Asked(Protocol):
    """A question: a prompt, and images as (path, sha256)."""

    @property
    def prompt(self) -> str:
        """The text."""
        ...

    @property
    def images(self) -> Sequence[tuple[str, str]]:
        """Paths with digests."""
        ...


class Reply(NamedTuple):
    """What came of a question: a text, or a word that says why there is none."""

    text: str | None
    reason: str | None


class _Task(NamedTuple):
    key: str
    question: Asked
    is_suspect: bool = False


@dataclass(slots=True)
class _Work:
    """What is to be asked, what is under way by its id, what was answered; `alone` goes one at a time."""

    left: deque[_Task]
    alone: deque[_Task] = field(default_factory=deque)
    flying: dict[str, _Task] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    trial: str | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether anything is not answered."""
        return bool(self.left or self.alone or self.flying)

    def send(self, session: Session, make_id: Callable[[], str]) -> None:
        """Fill the worker's window, or with what was under way when one died: nothing goes beside that."""
        while session.free > 0 and self.trial is None and (self.left or self.alone):
            if self.alone and self.flying:
                break
            identity, task = make_id(), (self.alone or self.left).popleft()
            self.trial = identity if task.is_suspect else None
            self.flying[identity] = task
            try:
                session.send(_request(identity, task.question))
            except ProtocolError:  # longer than a line may be
                self.land(identity, Reply(None, FAILED))
        session.flush()

    def land(self, identity: str, reply: Reply) -> None:
        """Take a reply."""
        self.replies[self.flying.pop(identity).key] = reply
        self.trial = None if identity == self.trial else self.trial

    def sort_out(self, gone: Gone) -> None:
        """Sort what a dead worker had in hand: too slow, deadly, to be tried alone, or not begun."""
        for identity in gone.timed_out:
            if identity in self.flying:
                self.land(identity, Reply(None, TIMED_OUT))
        if self.trial is not None:
            self.land(self.trial, Reply(None, CRASHED))
        for identity in gone.suspects:
            if identity in self.flying:
                self.alone.append(self.flying.pop(identity)._replace(is_suspect=True))
        self.left.extendleft(reversed(self.flying.values()))
        self.flying.clear()

    def give_up(self) -> list[_Task]:
        """Return all that is not answered."""
        return [*self.left, *self.alone, *self.flying.values()]


def _request(identity: str, question: Asked) -> dict[str, Any]:
    request: dict[str, Any] = {"type": "request", "id": identity, "prompt": question.prompt}
    if question.images:
        request["images"] = [{"path": path, "sha256": sha256} for path, sha256 in question.images]
    return request


@dataclass(slots=True)
class Measurer:
    """One metric's worker, started when something is asked that was not answered before; a context manager.

    Answers are kept in the workspace by what was asked and by the metric's code, requirements and parameters. A
    worker that dies is started again; what it was working on is asked again alone, and given up if that ends it too.
    """

    workspace: Workspace
    runner: Runner
    run: Path
    notify: Callable[[str], None]
    _session: Session | None = field(init=False, default=None)
    _worker: ExitStack = field(init=False, default_factory=ExitStack)
    _cache: sqlite3.Connection | None = field(init=False, default=None)
    _prefix: str = field(init=False, default="")
    _failure: str | None = field(init=False, default=None)
    _losses: int = field(init=False, default=0)
    _deaths: int = field(init=False, default=0)
    _has_told: bool = field(init=False, default=False)
    _ids: Iterator[int] = field(init=False, default_factory=lambda: itertools.count(1))

    def __enter__(self) -> Self:
        """Open what was kept; no process is started yet."""
        digest = digest_runner(self.runner, lock_digest(self.runner))
        self._prefix = canonical([self.runner.name, digest, self.runner.manifest.defaults])
        self._cache = _open_cache(self.workspace.results / CACHE_NAME)
        return self

    def __exit__(self, *_: object) -> None:
        """End the worker, and keep what it said."""
        self._worker.close()
        if self._cache is not None:
            self._cache.close()

    def ask(self, questions: Sequence[Asked]) -> list[Reply]:
        """Return the reply to every question, in order; a worker that fails is a reason, and no exception."""
        keys = [self._key(question) for question in questions]
        replies = self._recall(keys)
        left = deque(_Task(key, question) for key, question in zip(keys, questions, strict=True) if key not in replies)
        if left:
            replies |= self._work(left)
        return [replies[key] for key in keys]

    def _work(self, left: deque[_Task]) -> dict[str, Reply]:
        work = _Work(left)
        while work.is_open:
            if self._failure is None and self._session is None:
                self._start()
            if self._failure is not None or self._session is None:
                work.replies |= {task.key: Reply(None, UNUSABLE) for task in work.give_up()}
                break
            work.send(self._session, lambda: str(next(self._ids)))
            for event in self._session.poll(POLL_S):
                self._take(event, work)
        self._keep(work.replies)
        return work.replies

    def _take(self, event: object, work: _Work) -> None:
        match event:
            case Response() if event.id in work.flying:
                self._losses = 0
                # A reply of the size that is spilled to a file is no score.
                work.land(event.id, Reply(None, FAILED) if event.text_sha256 else Reply(event.text, None))
            case Failure() if event.id is not None and event.id in work.flying:
                self._losses = 0
                self._tell(f"{event.kind}: {event.message}")
                work.land(event.id, Reply(None, FAILED))
            case TimedOut() if event.id in work.flying:
                self._tell(event.reason)
                work.land(event.id, Reply(None, TIMED_OUT))
            case Gone():
                self._worker.close()
                self._session = None
                self._losses, self._deaths = self._losses + 1, self._deaths + 1
                self._tell(event.reason)
                work.sort_out(event)
                is_hopeless = self._losses >= LOSSES_MAX or self._deaths >= DEATHS_MAX
                if event.cause in {"load_failed", "load_timeout"} or is_hopeless:
                    self._failure = event.reason

    def _start(self) -> None:
        """Build the environment if need be and start the worker; what goes wrong is the metric's failure."""
        try:
            require_posix()
            env = ensure_env(self.workspace, self.runner, self.notify)
            self._worker.enter_context(use_env(env))
            model = Model(f"metric-{self.runner.name}", self.runner, dict(self.runner.manifest.defaults))
            spec = make_spec(self.workspace, model, env, self.run)
            self._session = self._worker.enter_context(Session(spec, self.notify, is_supervised=True))
        except BakeoffError as error:
            self._worker.close()
            self._failure = str(error)
            self._tell(self._failure)

    def _tell(self, reason: str) -> None:
        """Say the first thing that went wrong; the rest is in the log and in the counts of reasons."""
        if not self._has_told:
            self._has_told = True
            self.notify(f"metric {self.runner.name}: {reason}")

    def _key(self, question: Asked) -> str:
        images = [sha256 or path for path, sha256 in question.images]
        return hashlib.sha256(canonical([self._prefix, question.prompt, images]).encode()).hexdigest()

    def _recall(self, keys: Sequence[str]) -> dict[str, Reply]:
        if self._cache is None:
            return {}
        found = {}
        for key in keys:
            row = self._cache.execute("SELECT text FROM replies WHERE key = ?", (key,)).fetchone()
            if row is not None:
                found[key] = Reply(row[0], None)
        return found

    def _keep(self, replies: dict[str, Reply]) -> None:
        """Keep what was answered; a failure is tried again the next time."""
        rows = [(key, reply.text) for key, reply in replies.items() if reply.text is not None]
        if self._cache is not None:
            with suppress(sqlite3.Error), self._cache:
                self._cache.executemany("INSERT OR REPLACE INTO replies VALUES (?, ?)", rows)


def _open_cache(path: Path) -> sqlite3.Connection | None:
    """Open the file of replies, or begin it anew; None where it cannot be had: then everything is asked again."""
    for _ in range(2):
        try:
            connection = sqlite3.connect(path, timeout=30)
            connection.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID")
        except sqlite3.OperationalError:
            return None
        except sqlite3.DatabaseError:
            with suppress(OSError):
                path.unlink()
            continue
        return connection
    return None
