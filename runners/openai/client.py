"""Ask a chat-completions endpoint over HTTP: one session, one retry loop."""

import asyncio
import base64
import os
import ssl
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
from bodies import build_body
from faults import LONGEST_WAIT_S, ApiError, Fault, find_wait, malformed
from limits import open_account
from params import require
from prices import find_count
from replies import Reply, read_reply
from yarl import URL

ANSWER_BYTES = 64 << 20
IMAGE_TOKENS = 1000  # a guess, corrected by what the endpoint counts


class WriteTimeoutError(TimeoutError):
    """The endpoint took too long to take the request in."""


class TimedBody(aiohttp.BytesPayload):
    """A body that must be taken in within a time; aiohttp has no such limit."""

    def __init__(self, data, limit_s):
        """Take the bytes as they are."""
        super().__init__(data, content_type="application/json")
        self._limit_s = limit_s

    async def write_with_length(self, writer, content_length):
        """Write all, or raise WriteTimeoutError."""
        try:
            async with asyncio.timeout(self._limit_s):
                await super().write_with_length(writer, content_length)
        except TimeoutError:
            raise WriteTimeoutError from None


@dataclass
class Tries:
    """What one request went through."""

    began: float
    made: int = 0
    waited: int = 0
    malformed: int = 0
    maybe_billed: int = 0
    limited_s: float = 0.0
    took_s: float = 0.0

    def info(self):
        """Return what is kept of it with the answer."""
        more = {"maybe_billed": self.maybe_billed, "rate_limited_s": round(self.limited_s, 3)}
        known = {name: value for name, value in more.items() if value}
        return {"attempts": self.made, "request_s": round(self.took_s, 6), **known}


@dataclass
class Client:
    """One endpoint, asked with one key by one set of parameters."""

    settings: object
    account: object
    host: str
    proxy: str | None
    url: URL
    stopped: tuple = ()
    _queue: set = field(default_factory=set)
    _sessions: object = None
    _session: object = field(default=None, repr=False)

    async def ask(self, request):
        """Return the Reply, what it went through and what its images are; raises ApiError and those of pictures."""
        tries, body, images = None, None, []
        tokens = self._guess_tokens(request)
        while True:
            self._refuse_if_useless()
            async with AsyncExitStack() as stack:
                slot = await self._enter(stack, self.account.slot(tokens, retry=tries is not None))
                tries = tries or Tries(time.monotonic())
                if body is None:  # only now, so that no more bodies are held than are on their way
                    body, images = await build_body(self.settings, request)
                outcome = await self._attempt(body, tries)
                _tell(slot, outcome)
            if isinstance(outcome, Reply):
                return outcome, tries, images
            await self._wait(outcome, tries)

    async def _enter(self, stack, place):
        """Wait for the account's limits; a pause that turns out to be a long one is not waited for."""
        try:
            async with asyncio.timeout(None) as timer:
                self._queue.add(timer)
                slot = await stack.enter_async_context(place)
        except TimeoutError:
            slot = None
        finally:
            self._queue.discard(timer)
        self._refuse_if_useless()
        return slot or await stack.enter_async_context(place)

    async def _attempt(self, body, tries):
        tries.made += 1
        began = time.perf_counter()
        session = await self._open_session()
        data = TimedBody(body, self.settings.timeouts["write"])
        try:
            async with session.post(self.url, data=data, allow_redirects=False, proxy=self.proxy) as response:
                status, headers = response.status, response.headers
                return read_reply(status, headers, await read_capped(response))
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError) as error:
            return fault_of(error)
        finally:
            tries.took_s = time.perf_counter() - began

    async def _wait(self, fault, tries):
        """Sleep before the next attempt; raise ApiError where there is to be none."""
        tries.maybe_billed += fault.is_maybe_billed
        tries.malformed += fault.act == "malformed"
        tries.waited += fault.act == "limited" and fault.retry_after_s is not None
        if fault.act == "stop":
            self.stopped = (fault.kind, self._clean(fault.sentence))
        if fault.act == "limited" and _is_long(fault):
            timers, self._queue = self._queue, set()
            for timer in timers:
                timer.reschedule(0)
        settings = self.settings
        wait = find_wait(fault, tries.made - tries.waited, tries.malformed, settings.backoff_s, settings.attempts_max)
        left = settings.timeouts["item"] - (time.monotonic() - tries.began)
        if wait is None or wait > left:
            raise self._error(fault, tries) from None
        if fault.act == "limited":
            tries.limited_s += wait
        await asyncio.sleep(wait)

    def _error(self, fault, tries):
        if _is_long(fault):
            return ApiError("rate_limited", self._clean(f"{fault.sentence}; {_until(fault.retry_after_s)}"))
        given_up = f"; given up after {tries.made} attempts" if tries.made > 1 else ""
        return ApiError(fault.kind, self._clean(fault.sentence) + given_up)

    def _refuse_if_useless(self):
        """Raise where the endpoint would only say again what it has said to an earlier request."""
        if self.stopped:
            raise ApiError(*self.stopped)
        if self.account.paused_s > LONGEST_WAIT_S:
            raise ApiError("rate_limited", f"{self.host}: {_until(self.account.paused_s)}")

    def _clean(self, sentence):
        """Return `sentence` after the host's name, without the key in whatever form."""
        return f"{self.host}: {hide(sentence, self.settings.key)}"

    def _guess_tokens(self, request):
        images = len(request["images"]) or sum(_count_images(message) for message in request.get("messages") or ())
        texts = len(request["prompt"]) + len(request["system"] or "")
        return texts // 4 + images * IMAGE_TOKENS + self.settings.max_new_tokens

    async def _open_session(self):
        if self._session is None:
            self._sessions = _sessions(self.settings)
            self._session = await anext(self._sessions)  # which waits for nothing, so no other task comes between
        return self._session


def open_client(settings):
    """Return a Client; nothing is asked yet."""
    parts = urlsplit(settings.url)
    account = open_account(
        settings.account,
        settings.key,
        rpm=settings.rpm or None,
        tpm=settings.tpm or None,
        concurrency_max=settings.concurrency_max,
    )
    return Client(settings, account, parts.netloc, find_proxy(parts), URL(settings.url, encoded=True))


def find_proxy(parts):
    """Return the proxy that the standard variables name, None for none; aiohttp would look it up at every request."""
    if proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    is_http = not proxy or urlsplit(proxy).scheme in ("http", "https")
    require(is_http, f"the proxy for {parts.hostname} is not one for HTTP; list the host in NO_PROXY, or set another")
    return proxy or None


async def _sessions(settings):
    """Yield a session that is closed when the event loop ends, as asyncio does with generators."""
    times = settings.timeouts
    timeout = aiohttp.ClientTimeout(total=times["total"], sock_connect=times["connect"], sock_read=times["read"])
    trusted = trust() if settings.url.startswith("https:") else True  # aiohttp's own, for a proxy
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=30, ssl=trusted)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=settings.headers, cookie_jar=jar
    ) as session:
        yield session


def trust():
    """Return whose certificates are trusted: the system's, or certifi's where the interpreter knows of none."""
    own = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")
    paths = ssl.get_default_verify_paths()
    return ssl.create_default_context(cafile=own or (None if paths.cafile or paths.capath else certifi.where()))


async def read_capped(response):
    """Return the body; a server that never stops is cut off."""
    if response.content_length is not None and response.content_length <= ANSWER_BYTES:
        return await response.read()
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > ANSWER_BYTES:
            raise aiohttp.ClientPayloadError("the answer is too long")
    return b"".join(chunks)


def fault_of(error):
    """Return the Fault of an exception of aiohttp's; its own words may hold the address, and are not used."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        advice = "set SSL_CERT_FILE to a file with the certificate that signed it"
        return Fault("fail", "bad_params", f"its certificate is not trusted ({_reason(error)}); {advice}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Fault("retry", "transient", "there is no address of that name, or no name server; check base_url")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Fault("retry", "transient", f"the proxy answered with status {error.status}")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Fault("retry", "transient", f"no connection to the proxy: {_reason(error)}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Fault("retry", "transient", f"no connection: {_reason(error)}")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Fault("retry", "transient", "no connection in time")
    if isinstance(error, WriteTimeoutError):
        return Fault("retry", "transient", "the request was not taken in in time")
    if isinstance(error, TimeoutError):
        return Fault("retry", "transient", "no answer in time", is_maybe_billed=True)
    if isinstance(error, aiohttp.ClientResponseError):
        return malformed("the answer is no HTTP", b"")
    return Fault("retry", "transient", f"the connection broke ({type(error).__name__})", is_maybe_billed=True)


def _reason(error):
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    words = getattr(cause, "verify_message", None) or getattr(cause, "reason", None) or getattr(cause, "strerror", None)
    return words or type(cause or error).__name__


def hide(text, key):
    """Return `text` without `key`, and without what of it encodings leave."""
    forms = (key, quote(key, safe=""), base64.b64encode(key.encode()).decode().rstrip("="))
    for form in forms if key else ():
        text = text.replace(form, "[key]")
    return text


def _tell(slot, outcome):
    """Let the account know how the attempt went."""
    if isinstance(outcome, Reply):
        counts = [find_count(outcome.usage.get(name)) for name in ("prompt_tokens", "completion_tokens")]
        if None not in counts:
            slot.used(sum(counts))
        slot.ok()
    elif outcome.act == "limited":
        slot.limited(outcome.retry_after_s)
    elif outcome.act == "overloaded":
        slot.overloaded()
    elif outcome.act in ("retry", "malformed"):
        slot.failed()


def _is_long(fault):
    return fault.retry_after_s is not None and fault.retry_after_s > LONGEST_WAIT_S


def _until(seconds):
    clock = time.strftime("%H:%M", time.localtime(time.time() + seconds))
    return f"no request is wanted for {seconds:.0f} s, until {clock}; run the same command again then"


def _count_images(message):
    content = message["content"]
    return 0 if isinstance(content, str) else sum(part["type"] == "image" for part in content)
