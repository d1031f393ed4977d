"""The fence around a dataset: its images lie in its folder, or in a folder that the workspace allows."""

import functools
import json
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.images import describe_unreadable

Fence = Callable[[Path], str | None]
"""Tells in one sentence why an image may not be looked at; None where it may."""

_RECENT = 4096


def make_fence(folder: Path, allowed: Sequence[Path] = ()) -> Fence:
    """Return what refuses an image that, links followed, lies neither in `folder` nor in one of `allowed`.

    A dataset is somebody else's file, and an image that it names is read and perhaps uploaded. The answer is for an
    absolute path without `..`; nothing is opened. Folders are resolved once, so that many images cost little.
    """
    roots = [os.path.join(os.path.realpath(root), "") for root in (folder, *allowed)]  # noqa: PTH118 - ends in one "/"

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
        return _sentence(image, target, folder, allowed)

    return refuse


def _sentence(image: Path, target: str, folder: Path, allowed: Sequence[Path]) -> str:
    way = f"leads to {target}" if target != str(image) else "lies there"
    wanted = json.dumps([*map(str, allowed), str(Path(target).parent)], ensure_ascii=False)
    return (
        f"{image}: the image {way}, outside the dataset's folder {folder}; if it may be read and handed to models, "
        f"write image_folders = {wanted} under [settings] in bakeoff.toml"
    )
