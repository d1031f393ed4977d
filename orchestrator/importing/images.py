"""The images of a dataset that is being written: each content once, under a name that tells where it came from."""

import contextlib
import hashlib
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from orchestrator.importing.record import Picture

_UNFIT = re.compile(r"[^\w.\-]+")
_NAME_MAX = 80
_CHUNK = 1 << 20


class UnreadableError(Exception):
    """A picture of the source cannot be read; the message says why."""


class Images:
    """The images of a dataset: each content once, under a name that tells where it came from."""

    def __init__(self, folder: Path) -> None:
        """Keep them in `folder`, which is made with the first."""
        self._folder = folder
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}  # of each name the number that was given last: many are called default.jpg

    @property
    def count(self) -> int:
        """How many contents are kept."""
        return len(self._names)

    def keep(self, picture: Picture) -> str:
        """Write the picture, unless its bytes are there; return its path in the dataset.

        Raises UnreadableError where the source's file cannot be read.
        """
        with _opened(picture) as file:
            with _reading(picture):
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest not in self._names:
                self._names[digest] = f"images/{self._free_name(picture.name)}"
                self._folder.mkdir(exist_ok=True)
                file.seek(0)
                with (self._folder.parent / self._names[digest]).open("xb") as copy:
                    shutil.copyfileobj(file, copy, _CHUNK)
        return self._names[digest]

    def _free_name(self, name: str) -> str:
        path = Path(_UNFIT.sub("_", name).strip("._") or "image")
        stem, suffix = path.stem[:_NAME_MAX], path.suffix[:10].lower()
        free = f"{stem}{suffix}"
        key, number = free.casefold(), self._last.get(free.casefold(), 1)
        while free.casefold() in self._taken:
            number += 1
            free = f"{stem}-{number}{suffix}"
        self._last[key] = number
        self._taken.add(free.casefold())
        return free

    def drop_all_but(self, shown: set[str]) -> None:
        """Delete the images that no row shows after all."""
        for digest, name in list(self._names.items()):
            if name not in shown:
                (self._folder.parent / name).unlink()
                del self._names[digest]


@contextlib.contextmanager
def _opened(picture: Picture) -> Iterator[io.BytesIO | io.BufferedReader]:
    with _reading(picture):
        content = picture.content
        opened = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
    with opened:
        yield opened


@contextlib.contextmanager
def _reading(picture: Picture) -> Iterator[None]:
    """Raise UnreadableError for what goes wrong with the source's file, which is not the disk that is written to."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in its path
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UnreadableError(f"its image {picture.name} cannot be read: {reason}") from error
