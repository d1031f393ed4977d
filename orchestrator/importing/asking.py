"""Send one HTTP request to an address that was checked, and bound it in time, whatever the server does."""

import contextlib
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.errors import BakeoffError
from orchestrator.images import MAX_BYTES
from orchestrator.importing.guard import Guard, RefusedError, Target

ATTEMPTS = 5
CONNECT_S = 10.0
SILENCE_S = 30.0
TOTAL_S = 120.0
BACKOFF_S = 0.5
_ADDRESSES_MAX = 4


class Limits(NamedTuple):
    """How long and how much; `total_s` is for one attempt."""

    size_bytes: int = MAX_BYTES
    connect_s: float = CONNECT_S
    silence_s: float = SILENCE_S
    total_s: float = TOTAL_S
    attempts: int = ATTEMPTS
    backoff_s: float = BACKOFF_S


class UnreachableError(RefusedError):
    """The host did not answer or was too slow, however often it was asked."""


class CutError(Exception):
    """An attempt failed in a way that another may not; `wait_s` is what the server asked for."""

    def __init__(self, reason: str, wait_s: float | None = None, *, is_host: bool = False) -> None:
        """Take the sentence, and whether it says that the host could not be reached."""
        super().__init__(reason)
        self.wait_s, self.is_host = wait_s, is_host


@dataclass(slots=True)
class Asker:
    """Asks under the rules of `guard`; threads may share it. `stop` ends all that is going on."""

    guard: Guard
    limits: Limits
    stopped: threading.Event = field(default_factory=threading.Event)
    _context: ssl.SSLContext | None = field(init=False, default=None)
    _sockets: set[socket.socket] = field(init=False, default_factory=set)

    def stop(self) -> None:
        """End all that is going on, soon: each raises UnreachableError."""
        self.stopped.set()
        for each in tuple(self._sockets):
            _shut(each, self.stopped)

    @contextlib.contextmanager
    def ask(self, target: Target, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        """Send one request to a checked address and yield the response, whose reading is within the bounds, too.

        Raises RefusedError, UnreachableError, or CutError where it may help to ask again.
        """
        if self.stopped.is_set():
            raise UnreachableError("stopped")
        timed_out = threading.Event()
        with self._as_sentences(timed_out), contextlib.ExitStack() as stack:
            plain = self._connect(self.guard.check(target), target.port)
            stack.callback(plain.close)
            self._sockets.add(plain)
            stack.callback(self._sockets.discard, plain)
            clock = threading.Timer(self.limits.total_s, _shut, (plain, timed_out))
            clock.daemon = True
            clock.start()
            stack.callback(clock.cancel)
            plain.settimeout(self.limits.silence_s)
            connection = http.client.HTTPConnection(target.host, target.port)
            stack.callback(connection.close)
            connection.sock = self._secure(plain, target.host) if target.scheme == "https" else plain
            connection.request("GET", target.path, headers={**headers, "Host": target.netloc})
            yield stack.enter_context(connection.getresponse())

    @contextlib.contextmanager
    def _as_sentences(self, timed_out: threading.Event) -> Iterator[None]:
        """Say what went wrong; an end that came from our own side may look like the server's, or like a success."""
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError, BakeoffError, CutError) as error:
            self._check_clock(timed_out)
            if isinstance(error, (BakeoffError, CutError)):
                raise
            raise _explain(error, self.limits) from None
        self._check_clock(timed_out)

    def _check_clock(self, timed_out: threading.Event) -> None:
        if timed_out.is_set():
            raise UnreachableError(f"it took more than {self.limits.total_s:g} s and was stopped") from None
        if self.stopped.is_set():
            raise UnreachableError("stopped") from None

    def _connect(self, addresses: tuple[str, ...], port: int) -> socket.socket:
        failure: OSError = OSError("it has no address")
        for address in addresses[:_ADDRESSES_MAX]:
            try:
                return socket.create_connection((address, port), timeout=self.limits.connect_s)
            except OSError as error:
                failure = error
        raise failure

    def _secure(self, plain: socket.socket, host: str) -> socket.socket:
        if self._context is None:
            self._context = _tls()
        # The raw socket keeps its descriptor for the clock; a copy is wrapped.
        wrapped = self._context.wrap_socket(plain.dup(), server_hostname=host, do_handshake_on_connect=False)
        wrapped.settimeout(self.limits.silence_s)
        try:
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped


def _explain(error: Exception, limits: Limits) -> Exception:
    """Return what went wrong between here and the server as a sentence; what may help to repeat is a CutError."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return RefusedError(f"its certificate is not to be trusted: {error.verify_message}")
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return CutError("its host's name cannot be resolved", is_host=True)
    if isinstance(error, TimeoutError):
        return CutError(f"it was silent for {limits.silence_s:g} s", is_host=True)
    if isinstance(error, OSError):
        return CutError(f"it cannot be reached: {error.strerror or error}", is_host=True)
    return CutError(f"the server does not speak HTTP properly ({type(error).__name__})")


def _shut(plain: socket.socket, why: threading.Event) -> None:
    """End whatever another thread waits for on a socket."""
    why.set()
    with contextlib.suppress(OSError):
        plain.shutdown(socket.SHUT_RDWR)


def _tls() -> ssl.SSLContext:
    """Trust what requests trusts, unless the user names another bundle."""
    from certifi import where  # noqa: PLC0415 - needed for https alone

    return ssl.create_default_context(
        cafile=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or where()
    )
