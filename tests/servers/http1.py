"""HTTP/1.1 on asyncio: reads each body into one buffer, hands the request on, writes prebuilt bytes."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

HEAD_BYTES = 1 << 16
_CUT = b"\r\n\r\n"


class Request(NamedTuple):
    """What came, on which connection; `headers` have lower-case names."""

    connection: "Connection"
    method: str
    path: str
    headers: dict[str, str]
    body: bytearray


class Connection(asyncio.BufferedProtocol):
    """One client's connection; `handle` gets each request and answers by `write`, `close` or `reset`."""

    def __init__(self, handle: Callable[[Request], None], server: str) -> None:
        self._handle, self.server = handle, server
        self._head, self._filled = bytearray(HEAD_BYTES), 0
        self._body: bytearray | None = None
        self._request: tuple[str, str, dict[str, str]] = ("", "", {})
        self.is_open = False

    def connection_made(self, transport):
        self.transport, self.is_open = transport, True
        self.closed = asyncio.get_running_loop().create_future()

    def connection_lost(self, _):
        self.is_open = False
        if not self.closed.done():
            self.closed.set_result(None)

    def get_buffer(self, _):
        return memoryview(self._head if self._body is None else self._body)[self._filled :]

    def buffer_updated(self, count):
        self._filled += count
        if self._body is None:
            self._read_head()
        elif self._filled == len(self._body):
            self._finish(self._body)

    def _read_head(self):
        end = self._head.find(_CUT, 0, self._filled)
        if end < 0:
            if self._filled == HEAD_BYTES:
                self.reset()
            return
        self._request = parse_head(bytes(self._head[:end]))
        start, filled = end + len(_CUT), self._filled
        length = int(self._request[2].get("content-length", 0))
        have = min(length, filled - start)
        body = bytearray(length)
        body[:have] = self._head[start : start + have]
        rest = bytes(self._head[start + have : filled])
        if have < length:
            self._body, self._filled = body, have
            return
        self._finish(body)
        if rest:  # a second request came in the same piece
            self._head[: len(rest)] = rest
            self.buffer_updated(len(rest))

    def _finish(self, body):
        self._body, self._filled = None, 0
        self._handle(Request(self, *self._request, body))

    def write(self, data: bytes) -> None:
        if self.is_open:
            self.transport.write(data)

    def close(self) -> None:
        """End the connection properly, after what was written."""
        self.transport.close()

    def reset(self) -> None:
        """End the connection by RST."""
        raw = self.transport.get_extra_info("socket")
        if self.is_open and raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Return method, path and headers."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    return method, path, {name.lower(): value.strip() for name, _, value in pairs}


REASONS = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}


def response(
    status: int,
    body: bytes,
    headers: dict[str, str] | None = None,
    *,
    length: int | None = None,
    kind: str = "application/json",
) -> bytes:
    """Return a whole response; `length` is what its Content-Length says where that is not the truth."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", f"content-type: {kind}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
