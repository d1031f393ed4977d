"""Get the images behind many URLs: several at once, few from one host, in the order in which they were asked for."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NamedTuple, Self, TypeVar

from orchestrator.images import probe
from orchestrator.importing.asking import Limits, UnreachableError
from orchestrator.importing.download import Downloader, drop
from orchestrator.importing.guard import Guard, RefusedError, parse_url
from orchestrator.importing.record import Notify
from orchestrator.importing.url_cache import Kept, UrlCache

THREADS = 8  # each may hold an image of 50 MB while its header is looked at
THREADS_A_HOST = 4
UNREACHABLE_MAX = 5
TOLD_EVERY_S = 10.0
_WINDOW = 256
Row = TypeVar("Row")
_Answer = Path | str  # a file, or why there is none


class Got(NamedTuple, Generic[Row]):
    """A row with the files of its URLs; or with the first that cannot be had, and why."""

    row: Row
    paths: tuple[Path, ...]
    refused: tuple[str, str] | None = None


@dataclass(slots=True)
class _Host:
    """What is known of a host during an import."""

    turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(THREADS_A_HOST))
    not_before_s: float = 0.0
    failures: int = 0


class Gatherer:
    """Downloads images into a cache; one whose URL is there is not asked for again, unless `refresh`.

    Use it as a context manager: leaving it stops what is going on.
    """

    def __init__(
        self, cache: UrlCache, guard: Guard, notify: Notify, *, refresh: bool = False, limits: Limits | None = None
    ) -> None:
        """Say where to, under which rules, and who is told how far it is."""
        self._cache, self._notify, self._refresh = cache, notify, refresh
        self._downloader = Downloader(guard, limits or Limits(), self._pause)
        self._hosts: dict[str, _Host] = {}
        self._mutex = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, "download")
        self._running: dict[str, Future[_Answer] | Path] = {}
        self._settled: dict[str, _Answer] = {}
        self._bytes = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop all downloads."""
        self._downloader.stop()
        self._pool.shutdown(cancel_futures=True)

    def gather(self, rows: Iterable[tuple[Row, Sequence[str]]], total: int | None = None) -> Iterator[Got[Row]]:
        """Yield each row with the files of its URLs, in order; of what is to come a window is downloaded meanwhile."""
        window: deque[tuple[Row, Sequence[str]]] = deque()
        done, refused, told_s = 0, 0, time.monotonic()
        for row, urls in rows:
            window.append((row, urls))
            for url in urls:
                self._submit(url)
            while len(window) >= _WINDOW or (window and self._is_ready(window[0][1])):
                got = self._collect(*window.popleft())
                done, refused = done + 1, refused + (got.refused is not None)
                told_s = self._tell(done, refused, total, told_s)
                yield got
        for row, urls in window:
            got = self._collect(row, urls)
            done, refused = done + 1, refused + (got.refused is not None)
            told_s = self._tell(done, refused, total, told_s)
            yield got

    def _tell(self, done: int, refused: int, total: int | None, told_s: float) -> float:
        """Say how far it is, now and then; return when that was last done."""
        if time.monotonic() - told_s < TOLD_EVERY_S:
            return told_s
        of = f" of {total}" if total is not None else ""
        lost = f", {refused} cannot be had" if refused else ""
        self._notify(f"{done}{of} rows have their images, {self._bytes / 1e6:.1f} MB downloaded{lost}")
        return time.monotonic()

    def _submit(self, url: str) -> None:
        if url not in self._running and url not in self._settled:
            kept = self._cache.find(url)
            is_had = kept is not None and not self._refresh
            self._running[url] = kept.path if kept and is_had else self._pool.submit(self._get, url, kept)

    def _is_ready(self, urls: Sequence[str]) -> bool:
        running = (self._running.get(url) for url in urls)
        return all(not isinstance(each, Future) or each.done() for each in running)

    def _collect(self, row: Row, urls: Sequence[str]) -> Got[Row]:
        paths = []
        for url in urls:
            answer = self._settle(url)
            if isinstance(answer, str):
                return Got(row, (), (url, answer))
            paths.append(answer)
        return Got(row, tuple(paths))

    def _settle(self, url: str) -> _Answer:
        """Wait for the answer; one that the cache would not give to a later row is kept here."""
        if url in self._settled:
            return self._settled[url]
        self._submit(url)  # another row may have taken the answer
        waiting = self._running[url]
        answer = waiting.result() if isinstance(waiting, Future) else waiting
        if self._refresh or isinstance(answer, str):
            self._settled[url] = answer
        del self._running[url]
        return answer

    def _get(self, url: str, kept: Kept | None) -> _Answer:
        try:
            host = self._find_host(parse_url(url).netloc)
            with host.turns:
                self._downloader.stopped.wait(max(0.0, host.not_before_s - time.monotonic()))
                return self._download(url, host, kept)
        except RefusedError as error:
            return str(error)

    def _download(self, url: str, host: _Host, kept: Kept | None) -> _Answer:
        if host.failures >= UNREACHABLE_MAX:
            return f"its host could not be reached {UNREACHABLE_MAX} times in a row and is not asked again now"
        part = self._cache.part(url)
        try:
            validators = self._downloader.fetch(url, part, kept.validators if kept else None)
        except UnreachableError:
            host.failures += 1
            raise
        host.failures = 0
        if validators is None and kept is not None:
            return kept.path
        if (defect := probe(part).defect) is not None:
            drop(part)
            return defect.removeprefix(f"{part}: ")
        self._bytes += part.stat().st_size
        assert validators is not None  # None only where something was kept
        return self._cache.keep(url, part, validators)

    def _find_host(self, name: str) -> _Host:
        with self._mutex:
            return self._hosts.setdefault(name, _Host())

    def _pause(self, name: str, wait_s: float) -> None:
        host = self._find_host(name)
        host.not_before_s = max(host.not_before_s, time.monotonic() + wait_s)
