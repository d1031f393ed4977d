"""The fence around a dataset: its images lie in its folder, or in a folder that the workspace allows."""

import functools
import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.images import describe_unreadable

Fence = Callable[[Path], str | None]
"""Tells in one sentence why an image may not be looked at; None where it may."""

_RECENT = 4096
_COUNTED = 10_000
_NAMED = 8
_CHARS = 60  # of an image's path in a sentence: tables cut after 200, and the remedy should be among them


@dataclass(slots=True)
class Outside:
    """What a fence refused because of where it lies: the images, and the folders that would let them in.

    A folder is kept by the first one on the way to it that does not hold the dataset too.
    """

    images: set[Path] = field(default_factory=set)
    folders: dict[str, str] = field(default_factory=dict)

    def add(self, image: Path, branch: str, folder: str) -> None:
        """Note that `image` lies in `folder`, on `branch`; memory stays small however many there are."""
        if len(self.images) < _COUNTED:
            self.images.add(image)
        if branch in self.folders or len(self.folders) < _COUNTED:
            self.folders[branch] = os.path.commonpath((self.folders.get(branch, folder), folder))

    def describe(self, allowed: Sequence[Path] = ()) -> str | None:
        """Return one sentence about all of them, with the remedy; None where there are none."""
        if not self.images:
            return None
        count = f"{len(self.images):,}{' or more' if len(self.images) == _COUNTED else ''}"
        folders = _join(self.folders.values())
        images, them = ("image lies", "it") if len(self.images) == 1 else ("images lie", "them")
        more = f" (and {len(folders) - _NAMED} more folders)" if len(folders) > _NAMED else ""
        return f"{count} {images} outside the dataset's folder; {_remedy(them, folders[:_NAMED], allowed)}{more}"


def make_fence(
    folder: Path, allowed: Sequence[Path] = (), outside: Outside | None = None, *, whose: str = "dataset"
) -> Fence:
    """Return what refuses an image that, links followed, lies neither in `folder` nor in one of `allowed`.

    A dataset is somebody else's file, and an image that it names is read and perhaps uploaded. The answer is for an
    absolute path without `..`; nothing is opened. Folders are resolved once, so that many images cost little. What
    lies elsewhere is added to `outside`. `whose` the folder is, sentences say.
    """
    roots = [os.path.join(os.path.realpath(root), "") for root in (folder, *allowed)]  # noqa: PTH118 - ends in one "/"
    refused = Outside() if outside is None else outside

    @functools.lru_cache(maxsize=_RECENT)
    def resolve_folder(path: str) -> str:
        # Strict: what cannot be resolved is refused, though the system may open it (links to paths too long to write).
        return os.path.realpath(path, strict=True)

    def refuse(image: Path) -> str | None:
        parent, name = os.path.split(image)
        try:
            target = os.path.join(resolve_folder(parent), name)  # noqa: PTH118 - many are asked for
            if stat.S_ISLNK(os.lstat(target).st_mode):
                target = os.path.realpath(target, strict=True)
        except (OSError, ValueError) as error:
            return describe_unreadable(image, error)
        if any(f"{target}/".startswith(root) for root in roots):
            return None
        place = os.path.dirname(target)  # noqa: PTH120 - many are asked for
        refused.add(image, _branch(place, roots[0]), place)
        return _sentence(image, target, allowed, whose)

    return refuse


def _branch(folder: str, home: str) -> str:
    """Return the first folder on the way to `folder` that does not hold `home`, or `folder` where all do."""
    shared = os.path.commonpath((folder, home))
    first = os.path.relpath(folder, shared).partition("/")[0]
    return os.path.normpath(os.path.join(shared, first))  # noqa: PTH118 - many are asked for


def _join(folders: Iterable[str]) -> list[str]:
    """Return what holds all `folders`: of very many beside each other their common one, but never the root."""
    found = set(folders) - {"/"} or {"/"}
    beside = Counter(os.path.dirname(folder) for folder in found)  # noqa: PTH120 - many are asked for
    found |= {parent for parent, count in beside.items() if count > _NAMED and parent != "/"}
    return sorted(folder for folder in found if found.isdisjoint(map(str, Path(folder).parents)))


def _sentence(image: Path, target: str, allowed: Sequence[Path], whose: str) -> str:
    name = str(image)
    shown = name if len(name) <= _CHARS else f"…{name[1 - _CHARS :]}"
    way, end = ("lies", "") if target == name else ("leads", f"; it leads to {_as_text(target)}")
    remedy = _remedy("it", [os.path.dirname(target)], allowed)  # noqa: PTH120 - many are asked for
    return f"{shown} {way} outside the {whose}'s folder; {remedy}{end}"


def _remedy(them: str, folders: Sequence[str], allowed: Sequence[Path]) -> str:
    listed = _as_text(json.dumps(list(folders), ensure_ascii=False))
    if allowed:
        return f"allow {them} with {listed[1:-1]} among the image_folders under [settings] in bakeoff.toml"
    return f"allow {them} with image_folders = {listed} under [settings] in bakeoff.toml"


def _as_text(path: str) -> str:
    """Return `path` as UTF-8 can hold it: a link may lead to a name in another encoding."""
    return path.encode("utf-8", "backslashreplace").decode()
