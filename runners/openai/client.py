"""Ask a chat-completions endpoint until it has answered, or for as long as it is worth: the one retry loop."""

import asyncio
import ssl
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from bodies import build_body
from faults import LONGEST_WAIT_S, ApiError, find_wait, hide, name_azure
from limits import open_account
from prices import find_count
from replies import Reply, read_reply
from transport import TimedBody, fault_of, find_proxy, open_sessions, read_capped
from yarl import URL

IMAGE_TOKENS = 1000  # a guess, corrected by what the endpoint counts


@dataclass
class Tries:
    """What one request went through; `ticket` is its place in the account's queue, which it keeps."""

    began: float
    queued_s: float = 0.0
    ticket: int | None = None
    made: int = 0
    waited: int = 0
    malformed: int = 0
    maybe_billed: int = 0
    limited_s: float = 0.0
    took_s: float = 0.0

    @property
    def spent_s(self):
        """How long it has taken, without the waiting for the account's limits."""
        return time.monotonic() - self.began - self.queued_s

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
    _is_ending: bool = False
    _queue: set = field(default_factory=set)
    _sessions: object = None
    _session: object = field(default=None, repr=False)

    async def ask(self, request):
        """Return the Reply, what it went through and what its images are; raises ApiError and those of pictures."""
        tries, body, images = Tries(time.monotonic()), None, []
        tokens = self._guess_tokens(request)
        while True:
            self._refuse_if_useless()
            async with AsyncExitStack() as stack:
                slot = await self._enter(stack, tokens, tries)
                if body is None:  # only now, so that no more bodies are held than are on their way
                    body, images = await build_body(self.settings, request)
                outcome = await self._attempt(body, tries)
                _tell(slot, outcome)
            if isinstance(outcome, Reply):
                return outcome, tries, images
            await self._wait(outcome, tries)

    def wind_down(self):
        """Send nothing more: what waits ends as cancelled, which the worker's parent takes for not asked."""
        self._is_ending = True
        self._wake()

    def _wake(self):
        timers, self._queue = self._queue, set()
        for timer in timers:
            timer.reschedule(0)

    async def _enter(self, stack, tokens, tries):
        """Wait for the account's limits, but not on where it turns out that nothing more will be answered."""
        place, began = self.account.slot(tokens, retry=tries.made > 0, ticket=tries.ticket), time.monotonic()
        try:
            async with asyncio.timeout(None) as timer:
                self._queue.add(timer)
                slot = await stack.enter_async_context(place)
        except TimeoutError:
            slot = None
        finally:
            self._queue.discard(timer)
        self._refuse_if_useless()
        slot = slot or await stack.enter_async_context(place)
        tries.ticket = slot.ticket
        tries.queued_s += time.monotonic() - began
        return slot

    async def _attempt(self, body, tries):
        tries.made += 1
        began = time.perf_counter()
        session = await self._open_session()
        data = TimedBody(body, self.settings.timeouts["write"])
        try:
            async with session.post(self.url, data=data, allow_redirects=False, proxy=self.proxy) as response:
                status, headers = response.status, response.headers
                data = await read_capped(response)
            outcome = read_reply(status, headers, data)
            if isinstance(outcome, Reply):
                return outcome
            return read_reply(status, headers, hide(data, self.settings.key))  # before a cut can leave half a key
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
        if fault.act == "stop" or _is_long(fault):
            self._wake()
        settings = self.settings
        wait = find_wait(fault, tries.made - tries.waited, tries.malformed, settings.backoff_s, settings.attempts_max)
        if wait is None or wait > settings.timeouts["item"] - tries.spent_s or self._is_ending:
            raise self._error(fault, tries) from None
        if fault.act == "limited":
            tries.limited_s += wait
        await self._sleep(wait)

    async def _sleep(self, wait):
        """Sleep so long, or until all that waits is woken."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as timer:
                self._queue.add(timer)
                await asyncio.sleep(wait)
        self._queue.discard(timer)

    def _error(self, fault, tries):
        sentence = self._clean(fault.sentence)
        if _is_long(fault):
            return ApiError("rate_limited", f"{sentence}; {_until(fault.retry_after_s)}", final=True)
        many = tries.made > 1
        given_up = f"; given up after {tries.made} attempts" if many else ""
        if tries.maybe_billed:
            given_up += f", {tries.maybe_billed} of which may be billed" if many else "; it may be billed"
        return ApiError(fault.kind, sentence + given_up, final=fault.act == "stop")

    def _refuse_if_useless(self):
        """Raise where the endpoint would only say again what it has said to an earlier request."""
        if self._is_ending:
            raise ApiError("transient", "cancelled")
        if self.stopped:
            raise ApiError(*self.stopped, final=True)
        if self.account.paused_s > LONGEST_WAIT_S:
            raise ApiError("rate_limited", f"{self.host}: {_until(self.account.paused_s)}", final=True)

    def _clean(self, sentence):
        """Return `sentence` after the host's name, without the key in whatever form."""
        sentence = name_azure(sentence) if self.settings.is_azure else sentence
        return f"{self.host}: {hide(sentence.encode(), self.settings.key).decode()}"

    def _guess_tokens(self, request):
        images = len(request["images"]) or sum(_count_images(message) for message in request.get("messages") or ())
        texts = len(request["prompt"]) + len(request["system"] or "")
        return texts // 4 + images * IMAGE_TOKENS + self.settings.max_new_tokens

    async def _open_session(self):
        if self._session is None:
            self._sessions = open_sessions(self.settings)
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
    """Tell whether the account is to be left alone for longer than anybody waits."""
    return fault.act == "limited" and fault.retry_after_s is not None and fault.retry_after_s > LONGEST_WAIT_S


def _until(seconds):
    clock = time.strftime("%H:%M", time.localtime(time.time() + seconds))
    return f"no request is wanted for {seconds:.0f} s, until {clock}; run the same command again then"


def _count_images(message):
    content = message["content"]
    return 0 if isinstance(content, str) else sum(part["type"] == "image" for part in content)
