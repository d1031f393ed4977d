"""A chat-completions server on loopback that answers what was asked, or misbehaves as it was told.

    python -m tests.servers.chat --port 0 [--latency-ms 50] [--script FILE]

prints its port and serves until its input ends. FILE holds `Options` as JSON. Tests have `chat_server(**options)`.
A user's text may hold a word `fault=NAME[*N][,NAME…]`: what happens to the first, second … attempt of that request
(`*N`: N attempts long, `*` alone: for ever); tests.servers.faults lists the names. The option `faults` does the same to
every request.
"""

import argparse
import asyncio
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.servers import faults
from tests.servers.bodies import Chat, read_chat
from tests.servers.http1 import Connection, Request, response
from tests.servers.quota import Quota

try:
    import uvloop as loops
except ImportError:
    loops = asyncio

ROOT = Path(__file__).resolve().parents[2]
_SCRIPTED = re.compile(r"fault=(\S+)").search
_END_S = 10


@dataclass(frozen=True, slots=True)
class Options:
    """How the server answers.

    `answer`: `echo` (the last user text), `images` (the SHA-256 of each image), else the text itself. `key`: what the
    bearer must be, None: anything. `rpm`, `tpm`, `concurrency`: limits of each key, of a minute of `minute_s`;
    `retry_form` is how Retry-After is said: `s`, `ms`, `date` or `none`. `served_model`: the model that answers name.
    Without `log` nothing is remembered of a request.
    """

    latency_ms: float = 0.0
    faults: str = ""
    answer: str = "echo"
    key: str | None = None
    served_model: str | None = None
    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None
    minute_s: float = 60.0
    retry_form: str = "s"
    log: bool = True


class ChatServer:
    """The server's state, shared by all of its connections."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.entries: list[dict[str, Any]] = []
        self.quotas: dict[str, Quota] = {}
        self.attempts: Counter[bytes] = Counter()
        self.elsewhere = ""
        self.count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def listen(self, port: int) -> int:
        """Take connections, and return the port."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: self.connection("main"), "127.0.0.1", port, backlog=1024)
        return self._listener.sockets[0].getsockname()[1]

    async def refuse(self, seconds: float) -> None:
        """Refuse new connections for a time."""
        if (listener := self._listener) is None:
            return
        self._listener, port = None, listener.sockets[0].getsockname()[1]
        listener.close()
        await asyncio.sleep(seconds)
        await self.listen(port)

    def connection(self, name: str) -> Connection:
        return Connection(self.handle, name)

    def handle(self, request: Request) -> None:
        """Answer one request."""
        path = request.path.partition("?")[0]
        if path.startswith("/_"):
            request.connection.write(self._control(path, request.body))
        elif request.method == "POST" and path.endswith("/chat/completions"):
            self._chat(request, path)
        elif path.endswith("/models"):
            request.connection.write(response(200, b'{"object":"list","data":[{"id":"loopback","object":"model"}]}'))
        else:
            request.connection.write(response(404, faults.error_body(f"there is no {path}")))

    def _chat(self, request: Request, path: str) -> None:
        self.count += 1
        try:
            chat = read_chat(request.body)
        except (ValueError, AttributeError, TypeError) as error:
            return request.connection.write(response(400, faults.error_body(f"not a chat request: {error}")))
        model = self.options.served_model or chat.said.get("model") or _deployment(path)
        key = request.headers.get("authorization") or request.headers.get("api-key") or ""
        entry = self._note(request, chat, key) if self.options.log else {}
        if self.options.key is not None and key.removeprefix("Bearer ") != self.options.key:
            return request.connection.write(response(401, faults.error_body("Incorrect API key", "invalid_api_key")))
        quota = self._quota(key)
        entry["under_way"] = quota.now
        wait_s = quota.admit(chat.tokens())
        if wait_s is not None:
            entry["fault"] = "limit"
            return request.connection.write(self._limited(quota, wait_s))
        self._answer(request, chat, model, entry, quota)
        return None

    def _answer(self, request: Request, chat: Chat, model: str, entry: dict[str, Any], quota: Quota) -> None:
        answer = faults.chat_answer(self._text(chat), model, usage_of(chat, self._text(chat)))
        fault = self._fault(chat, entry)
        quota.begin()
        loop = asyncio.get_running_loop()
        if fault is None:
            data = response(200, json.dumps(answer).encode(), self._headers(quota))
            loop.call_later(self.options.latency_ms / 1000, self._finish, request.connection, data, quota)
            return
        task = loop.create_task(self._misbehave(fault, request, answer, quota))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _finish(self, connection: Connection, data: bytes, quota: Quota) -> None:
        quota.end()
        connection.write(data)

    async def _misbehave(self, fault: str, request: Request, answer: dict[str, Any], quota: Quota) -> None:
        try:
            await asyncio.sleep(self.options.latency_ms / 1000)
            if fault.partition(":")[0] == "refuse":
                request.connection.reset()
                await self.refuse(float(fault.partition(":")[2] or 0.5))
            else:
                await faults.misbehave(fault, request, answer, self.elsewhere)
        except (KeyError, ValueError):
            request.connection.write(response(418, faults.error_body(f"there is no fault {fault!r}")))
        finally:
            quota.end()

    def _fault(self, chat: Chat, entry: dict[str, Any]) -> str | None:
        """Return the fault of this attempt, None for none; attempts are those of the same body."""
        script = _SCRIPTED(chat.text)
        listed = script[1] if script else self.options.faults
        if not listed:
            return None
        identity = chat.identity()
        self.attempts[identity] += 1
        found = nth_fault(listed, self.attempts[identity])
        entry.update(attempt=self.attempts[identity], fault=found)
        return found

    def _text(self, chat: Chat) -> str:
        if self.options.answer == "echo":
            return chat.text
        return " ".join(chat.digests()) if self.options.answer == "images" else self.options.answer

    def _note(self, request: Request, chat: Chat, key: str) -> dict[str, Any]:
        entry = {
            "time": time.monotonic(),
            "server": request.connection.server,
            "path": request.path,
            "connection": id(request.connection),
            "model": chat.said.get("model"),
            "authorization": hashlib.sha256(key.encode()).hexdigest(),
            "images": chat.digests(),
            "body": chat.said,
            "fault": None,
        }
        self.entries.append(entry)
        return entry

    def _quota(self, key: str) -> Quota:
        if key not in self.quotas:
            options = self.options
            self.quotas[key] = Quota(options.rpm, options.tpm, options.concurrency, options.minute_s)
        return self.quotas[key]

    def _limited(self, quota: Quota, wait_s: float) -> bytes:
        """Return the 429, which is announced only where it says for how long."""
        form = self.options.retry_form if wait_s else "none"
        body = faults.error_body("Rate limit reached for requests", "rate_limit_exceeded", "requests")
        if form == "none":
            return response(429, body)
        value = str(int(wait_s * 1000) + 1) if form == "ms" else str(int(wait_s) + 1)
        headers = faults.RETRY[form](value)
        quota.announce(int(value) / 1000 if form == "ms" else int(value) - (form == "date"))
        return response(429, body, headers)

    def _headers(self, quota: Quota) -> dict[str, str]:
        if not quota.rpm:
            return {}
        limit, remaining = str(int(quota.rpm)), str(quota.remaining())
        return {"x-ratelimit-limit-requests": limit, "x-ratelimit-remaining-requests": remaining}

    def _control(self, path: str, body: bytearray) -> bytes:
        if path == "/_options":
            self.options = Options(**{**asdict(self.options), **json.loads(body)})
            self.quotas.clear()
            self.attempts.clear()
            self.entries.clear()
        quotas = {hashlib.sha256(key.encode()).hexdigest(): quota.figures() for key, quota in self.quotas.items()}
        state = {"count": self.count, "quotas": quotas}
        return response(200, json.dumps(self.entries if path == "/_requests" else state).encode())


def usage_of(chat: Chat, text: str) -> dict[str, int]:
    """Return the tokens: one a word, and some for each image."""
    counts = {"prompt_tokens": chat.tokens(), "completion_tokens": len(text.split())}
    return {**counts, "total_tokens": sum(counts.values())}


def nth_fault(listed: str, attempt: int) -> str | None:
    """Return the fault of the `attempt`-th (from 1) attempt; None where it goes well, as `ok` does."""
    for item in listed.split(","):
        name, star, times = item.partition("*")
        length = int(times) if times else 10**9 if star else 1
        if attempt <= length:
            return None if name == "ok" else name
        attempt -= length
    return None


def _deployment(path: str) -> str:
    """Return the model that Azure's paths name."""
    found = re.search(r"/deployments/([^/]+)/", path)
    return found[1] if found else ""


async def serve(port: int, options: Options) -> None:
    """Serve until the standard input ends."""
    server, loop = ChatServer(options), asyncio.get_running_loop()
    ended = asyncio.Event()

    def wait() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ended.set)

    port = await server.listen(port)
    other = await loop.create_server(lambda: server.connection("elsewhere"), "127.0.0.1", 0)
    server.elsewhere = f"http://localhost:{other.sockets[0].getsockname()[1]}"
    print(port, flush=True)
    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()


@dataclass(frozen=True, slots=True)
class Running:
    """A server in a process of its own; `url` is what clients call their base URL."""

    url: str
    process: subprocess.Popen[bytes]

    def requests(self) -> list[dict[str, Any]]:
        """Return what came, in order: time (monotonic), server, path, model, authorization (hash), body, fault.

        `images` has the SHA-256 of each image, `body` the rest; `under_way` were so many others of that key.
        """
        return self._ask("_requests")

    def state(self) -> dict[str, Any]:
        """Return how many requests came, and of each key (hash) what its limits were used for."""
        return self._ask("_state")

    def set_options(self, **options: Any) -> None:
        """Change options; what was remembered is forgotten."""
        self._ask("_options", json.dumps(options).encode())

    def stop(self) -> None:
        """End the process."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def _ask(self, name: str, body: bytes | None = None) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url.removesuffix('/v1')}/{name}", body, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def chat_server(*, python: str = sys.executable, **options: Any) -> Iterator[Running]:
    """Run a server with `Options` for as long as the context lasts."""
    argv = [python, "-m", "tests.servers.chat", "--options", json.dumps(options)]
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    running = Running(f"http://127.0.0.1:{int(process.stdout.readline())}/v1", process)
    try:
        yield running
    finally:
        running.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float)
    parser.add_argument("--script", type=Path, help="a file with options as JSON")
    parser.add_argument("--options", default="{}", help="options as JSON")
    given = parser.parse_args()
    options = json.loads(given.options)
    if given.script:
        options |= json.loads(given.script.read_text())
    if given.latency_ms is not None:
        options["latency_ms"] = given.latency_ms
    loops.run(serve(given.port, Options(**options)))


if __name__ == "__main__":
    main()
