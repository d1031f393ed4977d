"""The process that asks an Arkindex server: it has the client library, whose pins stay in its own environment."""

import json
import os
import select
import selectors
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple, Self

from orchestrator.config import BUILTIN, Workspace
from orchestrator.env import ensure_env, use_env
from orchestrator.errors import BakeoffError, TryLaterError, UsageError
from orchestrator.importing.record import Notify
from orchestrator.manifest import Runner, read_runner
from orchestrator.process import Child, spawn
from orchestrator.protocol import LineSplitter, ProtocolError
from orchestrator.redaction import Redactor
from orchestrator.running.worker_spec import PYTHON_FLAGS, worker_environment
from orchestrator.variables import read_variables

FOLDER = BUILTIN / "runners" / "_importers" / "arkindex"
ANSWER_S = 900.0  # five attempts, each with a minute's silence and two minutes of Retry-After
BACKOFF_S = 1.0
_GRACE_S, _KILL_S, _LAST_WORDS_S = 2.0, 2.0, 1.0
_STDERR_BYTES = 4096
_CHUNK = 1 << 16
_TOKENS = ("ARKINDEX_TOKEN", "ARKINDEX_API_TOKEN")
_URL = "ARKINDEX_API_URL"
NOT_FOUND, _TOO_MANY, _SERVER = 404, 429, 500


class Account(NamedTuple):
    """Which server is asked, and as whom; the token is None for what is public."""

    api_url: str
    token: str | None


class AskError(BakeoffError):
    """The server refused a request; `status` is None where it was none of HTTP."""

    def __init__(self, sentence: str, status: int | None) -> None:
        """Take the sentence for a person."""
        super().__init__(sentence)
        self.status = status


def read_account(workspace: Workspace) -> Account:
    """Return the server and the token of the environment or the workspace's `.env`; raise UsageError without a URL."""
    found = read_variables(workspace.root, (_URL, *_TOKENS))
    url = found.get(_URL, "").strip()
    if not url.startswith(("http://", "https://")):
        came = f"is '{url}'" if url else "is not set"
        raise UsageError(f"{_URL} {came}; set it, or write {_URL}=https://… into {workspace.root / '.env'}")
    token = next((found[name].strip() for name in _TOKENS if found.get(name, "").strip()), None)
    return Account(url, token)


def importer() -> Runner:
    """Return the folder with the program and its requirements."""
    return read_runner(FOLDER)


class ArkindexClient:
    """Asks one server, one request at a time; its environment is built when it is used first. A context manager."""

    def __init__(self, workspace: Workspace, account: Account, notify: Notify) -> None:
        """Say whom to ask."""
        self._workspace, self._account, self._notify = workspace, account, notify
        self._redactor = Redactor({"ARKINDEX_TOKEN": account.token} if account.token else {})
        self._splitter = LineSplitter()
        self._lines: list[bytes] = []
        self._said = b""

    def __enter__(self) -> Self:
        """Start the process and have it read the server's schema; raise BakeoffError where that fails."""
        with ExitStack() as stack:
            env = ensure_env(self._workspace, importer(), self._notify)
            stack.enter_context(use_env(env))
            argv = (str(env.python), *PYTHON_FLAGS, str(FOLDER / "client.py"))
            self._child: Child = spawn(argv, worker_environment(), self._workspace.root)
            stack.callback(self._end)
            self._selector = stack.enter_context(selectors.DefaultSelector())
            for descriptor in (self._child.stdout, self._child.stderr):
                self._selector.register(descriptor, selectors.EVENT_READ)
            hello = {"api_url": self._account.api_url, "token": self._account.token, "backoff_s": BACKOFF_S}
            self._send(hello)
            self._receive(self._account.api_url)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        """End the process."""
        self._stack.close()

    def ask(self, operation: str, arguments: dict[str, Any], **optional: Any) -> Any:
        """Return what the server answers; `optional` arguments are left out where it does not know them.

        Raises AskError, or TryLaterError where the server is not well.
        """
        self._send({"operation": operation, "arguments": arguments, "optional": optional})
        return self._receive(operation)["value"]

    def listing(self, operation: str, arguments: dict[str, Any], **optional: Any) -> Iterator[dict[str, Any]]:
        """Yield what the server lists, page by page; other requests may come in between."""
        following: dict[str, Any] | None = {}
        while following is not None:
            request = {"operation": operation, "arguments": arguments | following, "optional": optional}
            self._send({**request, "is_listing": True})
            items = []
            while "item" in (answer := self._receive(operation)):
                items.append(answer["item"])
            following = answer["next"]
            yield from items

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:  # a request is shorter than what a pipe takes, and nothing is in it
                data = data[os.write(self._child.stdin, data) :]
        except OSError as error:
            raise self._gone() from error

    def _receive(self, what: str) -> dict[str, Any]:
        """Return the next answer; raise what the server's refusal means."""
        deadline = time.monotonic() + ANSWER_S
        while not self._lines:
            if time.monotonic() > deadline:
                raise TryLaterError(f"{self._account.api_url}: no answer to {what} within {ANSWER_S:.0f} s")
            self._read(deadline)
        try:
            answer: dict[str, Any] = json.loads(self._lines.pop(0))
        except ValueError as error:
            raise BakeoffError(f"arkindex: its client said something that is not JSON; {self._hint()}") from error
        if "error" in answer:
            raise self._explain(what, **answer["error"])
        return answer

    def _read(self, deadline: float) -> None:
        for key, _ in self._selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(key.fd, _CHUNK)
            if key.fd == self._child.stderr:
                self._said = (self._said + chunk)[-_STDERR_BYTES:]
                if not chunk:
                    self._selector.unregister(key.fd)
            elif not chunk:
                raise self._gone()
            else:
                try:
                    self._lines += self._splitter.feed(chunk)
                except ProtocolError as error:
                    raise BakeoffError(f"arkindex: {error}") from error

    def _explain(self, what: str, status: int | None, kind: str, message: str) -> BakeoffError:
        """Return the sentence for an error of the server or on the way to it, with a remedy."""
        url = self._account.api_url
        redacted = self._redactor.redact(message.encode()).decode("utf-8", "replace")
        said = self._redactor.shorten(" ".join(redacted.split()), 300)
        if status in {401, 403}:
            remedy = (
                "check ARKINDEX_TOKEN, and that its user may read this" if self._account.token else "set ARKINDEX_TOKEN"
            )
            return AskError(f"{url}: {what} is not allowed ({status}: {said}); {remedy}", status)
        if status == _TOO_MANY or (status is not None and status >= _SERVER):
            return TryLaterError(f"{url}: {what} fails with {status} ({said}); run the same command again later")
        if status is not None and kind == "status":
            return AskError(f"{url}: {what} fails with {status} ({said})", status)
        if kind == "schema":
            return AskError(f"{url}: does not look like an Arkindex server ({said}); check ARKINDEX_API_URL", status)
        if kind == "unreachable":
            return TryLaterError(f"{url}: cannot be reached ({said}); check ARKINDEX_API_URL and the network")
        if kind == "unknown":
            return AskError(f"{url}: the server does not offer {what} as it is asked for: {said}", None)
        return BakeoffError(f"arkindex: {what} failed: {said}")

    def _gone(self) -> BakeoffError:
        """Return the sentence on a client that ended, with its last words, which may come a moment later."""
        deadline = time.monotonic() + _LAST_WORDS_S
        with suppress(OSError):
            while select.select([self._child.stderr], [], [], max(0.0, deadline - time.monotonic()))[0]:
                if not (chunk := os.read(self._child.stderr, _CHUNK)):
                    break
                self._said = (self._said + chunk)[-_STDERR_BYTES:]
        return BakeoffError(f"arkindex: its client ended unexpectedly; {self._hint()}")

    def _hint(self) -> str:
        said = self._redactor.redact(self._said).decode("utf-8", "replace").strip()
        return f"it said: {' '.join(said.split())[-300:]}" if said else "it said nothing"

    def _end(self) -> None:
        self._child.close_stdin()
        if self._child.wait(_GRACE_S) is None:
            self._child.kill(_KILL_S)
        self._child.close()
