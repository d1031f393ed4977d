"""Download one file: bounded in time, size and redirects, tried again where that helps, continued where it was cut."""

import contextlib
import email.utils
import http
import http.client
import json
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

from orchestrator import __version__
from orchestrator.files import check_space, disk_errors
from orchestrator.importing.asking import Asker, CutError, Limits, UnreachableError
from orchestrator.importing.guard import Guard, RefusedError, parse_url

REDIRECTS = 5
BACKOFF_MAX_S = 8.0
RETRY_AFTER_MAX_S = 120.0
_CHUNK = 1 << 16
_OK, _PARTIAL, _UNCHANGED, _BEYOND = 200, 206, 304, 416
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
_MOVED = {301, 302, 303, 307, 308}
_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_REASONS = {
    401: "it wants a password; make the file public, or use a signed URL",
    403: "access is forbidden; a signed URL may have run out",
    404: "there is no such file",
    410: "the file is gone",
}


class Validators(NamedTuple):
    """What tells one version of a file from the next: the server's ETag and Last-Modified."""

    etag: str | None = None
    modified: str | None = None

    @property
    def strong(self) -> str | None:
        """What `If-Range` may say (RFC 9110, section 13.1.5): a weak ETag may not."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


@dataclass(slots=True)
class Downloader:
    """Downloads files under the rules of `guard`; threads may share it. `pause` hears host:port and a Retry-After."""

    guard: Guard
    limits: Limits = field(default_factory=Limits)
    pause: Callable[[str, float], None] = lambda *_: None
    _asker: Asker = field(init=False)

    def __post_init__(self) -> None:
        """Take the rules over."""
        self._asker = Asker(self.guard, self.limits)

    @property
    def stopped(self) -> threading.Event:
        """Set when `stop` was called."""
        return self._asker.stopped

    def fetch(self, url: str, part: Path, known: Validators | None = None) -> Validators | None:
        """Write the file at `url` to `part`, after what is there of it; return its validators.

        With `known`, of a version that is had already: None if that is still the newest. What is cut short stays in
        `part` and is continued by the next call. Raises RefusedError, UnreachableError, DiskError.
        """
        for attempt in range(self.limits.attempts):
            try:
                return self._follow(url, part, known)
            except CutError as error:
                if attempt == self.limits.attempts - 1:
                    kind = UnreachableError if error.is_host else RefusedError
                    raise kind(f"{error}; tried {self.limits.attempts} times") from None
                self._wait(url, attempt, error.wait_s)
        raise AssertionError

    def stop(self) -> None:
        """End all that is going on, soon: each raises UnreachableError."""
        self._asker.stop()

    def _wait(self, url: str, attempt: int, asked_s: float | None) -> None:
        wait_s = min(BACKOFF_MAX_S, self.limits.backoff_s * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311 - jitter
        if asked_s is not None:
            if asked_s > RETRY_AFTER_MAX_S:
                raise RefusedError(f"the server asks to wait {asked_s:.0f} s; run the same command again after that")
            wait_s = asked_s * random.uniform(1, 1.1)  # noqa: S311 - as above
            self.pause(parse_url(url).netloc, wait_s)
        if self.stopped.wait(wait_s):
            raise UnreachableError("stopped")

    def _follow(self, url: str, part: Path, known: Validators | None) -> Validators | None:
        """Ask the URL and those that it leads to, each checked as the first."""
        for _ in range(REDIRECTS + 1):
            target = parse_url(url)
            with self._asker.ask(target, _headers(part, known)) as response:
                if response.status not in _MOVED:
                    return self._take(response, part, known)
                location = response.getheader("Location") or ""
            moved = urljoin(target.url, location)
            if target.scheme == "https" and parse_url(moved).scheme != "https":
                raise RefusedError("it leads from https to http")
            url = moved
        raise RefusedError(f"it leads on and on: more than {REDIRECTS} redirects")

    def _take(self, response: http.client.HTTPResponse, part: Path, known: Validators | None) -> Validators | None:
        """Write the body of a response that is no redirect."""
        status = response.status
        if status == _UNCHANGED and known is not None:
            return None
        if status == _BEYOND:
            drop(part)
            raise CutError("the server has less of the file than was there before")
        if status in _AGAIN:
            raise CutError(f"the server says {status} {_phrase(status)}", _retry_after(response))
        if status not in {_OK, _PARTIAL}:
            raise RefusedError(f"the server says {status}: {_REASONS.get(status) or _phrase(status)}")
        encoding = (response.getheader("Content-Encoding") or "identity").strip().lower()
        if encoding != "identity":
            raise RefusedError(f"it is sent packed as {encoding[:20]} though asked plain, and is not unpacked")
        validators = Validators(response.getheader("ETag"), response.getheader("Last-Modified"))
        with disk_errors(part):
            part.parent.mkdir(parents=True, exist_ok=True)
            check_space(part.parent)
            if status == _PARTIAL:
                _check_range(response, part)
            else:
                drop(part)
                if validators.strong:
                    _note(part).write_text(json.dumps(validators), encoding="utf-8")
        self._write(response, part)
        return validators

    def _write(self, response: http.client.HTTPResponse, part: Path) -> None:
        """Append the body; what came stays when the rest does not."""
        size = part.stat().st_size if part.exists() else 0
        if size + (response.length or 0) > self.limits.size_bytes:
            drop(part)
            raise RefusedError(f"it has {(size + (response.length or 0)) / 1e6:.0f} MB, {self._cap()}")
        with disk_errors(part):
            file = part.open("ab")
        with file:
            while chunk := response.read1(_CHUNK):
                size += len(chunk)
                if size > self.limits.size_bytes:
                    drop(part)
                    raise RefusedError(f"it has {self._cap()}")
                with disk_errors(part):
                    file.write(chunk)
                    file.flush()
        if response.length:  # read1 takes an early end for the end
            raise CutError(f"it was cut off, {response.length} bytes before its end")

    def _cap(self) -> str:
        return f"more than {self.limits.size_bytes / 1e6:g} MB"


def _phrase(status: int) -> str:
    """Return what a status means; what the server itself says of it is anybody's text."""
    return http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else "a status of its own"


def drop(part: Path) -> None:
    """Delete what there is of a file."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _headers(part: Path, known: Validators | None) -> dict[str, str]:
    headers = {"User-Agent": f"bakeoff/{__version__}", "Accept": "image/*, */*;q=0.1", "Accept-Encoding": "identity"}
    headers["Connection"] = "close"
    if known is not None:
        conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
        return headers | {name: value for name, value in conditions.items() if value}
    begun = _read_note(part)
    if begun and begun.strong and part.is_file() and (size := part.stat().st_size):
        headers |= {"Range": f"bytes={size}-", "If-Range": begun.strong}
    return headers


def _read_note(part: Path) -> Validators | None:
    try:
        etag, modified = json.loads(_note(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Validators(etag, modified)


def _check_range(response: http.client.HTTPResponse, part: Path) -> None:
    """Make sure that a partial answer is all that the file on disk lacks."""
    size = part.stat().st_size if part.exists() else 0
    match = _RANGE.fullmatch(response.getheader("Content-Range") or "")
    if match is None or int(match[1]) != size or int(match[2]) + 1 != int(match[3]):
        drop(part)
        raise CutError("the server sent another part of the file than it was asked for")


def _retry_after(response: http.client.HTTPResponse) -> float | None:
    """Return the seconds that the server asks to wait (RFC 9110, section 10.2.3: a number or a date)."""
    given = (response.getheader("Retry-After") or "").strip()
    if given.isdecimal() and given.isascii():
        return float(given[:9])
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time()) if given else None
    return None
