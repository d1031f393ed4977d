"""Put files back as they were where what was begun with them fails."""

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.files import disk_errors


@contextmanager
def restoring(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Put the files `names` of `folder` back where the body raises anything; those that were not there go.

    They should be replaced, not written over: the old ones are kept as links where links can be made, which is free.
    """
    kept = {name: folder / f".{name}.{secrets.token_hex(4)}.tmp" for name in names}
    try:
        with disk_errors(folder):
            for name, copy in kept.items():
                if (folder / name).is_file():
                    _keep(folder / name, copy)
        try:
            yield
        except BaseException:
            _put_back(folder, kept)
            raise
    finally:
        for copy in kept.values():
            with suppress(OSError):
                copy.unlink(missing_ok=True)


def _put_back(folder: Path, kept: Mapping[str, Path]) -> None:
    for name, copy in kept.items():
        if copy.is_file():
            os.replace(copy, folder / name)  # noqa: PTH105 - the atomic call is named
        else:
            (folder / name).unlink(missing_ok=True)


def _keep(path: Path, copy: Path) -> None:
    try:
        os.link(path, copy)
    except OSError:  # a file system without links
        shutil.copy2(path, copy)
