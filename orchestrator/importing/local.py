"""Files that a source names or brings: read only where they lie in its folder, or where the workspace allows.

A source is somebody else's, and what it names is copied into the dataset, and perhaps uploaded.
"""

import os
from pathlib import Path

from orchestrator.datasets.fence import make_fence
from orchestrator.errors import BakeoffError
from orchestrator.images import probe
from orchestrator.importing.record import Picture, Source

_CHARS = 80  # of a name in a sentence
_PATH_MAX = 4096


class Local:
    """The files of a source's folder, links followed; `more` folders are as good."""

    def __init__(self, source: Source, folder: Path, *more: Path) -> None:
        """Say which folder the source is, or lies in."""
        self._folder = folder
        self._refuse = make_fence(folder.absolute(), (*more, *source.workspace.image_folders), whose="source")

    def find(self, name: str | Path) -> Path:
        """Return the file of that name, from the folder; raise ValueError, a sentence, where it may not be opened."""
        try:
            path = Path(os.path.abspath(self._folder / name))  # noqa: PTH100 - without `..`, so that the fence sees all
            missing = len(str(path)) >= _PATH_MAX or not (path.is_symlink() or path.exists())
        except (OSError, ValueError):
            missing = True
        if missing:
            raise ValueError(f"there is no file {_short(str(name))}")
        if refusal := self._refuse(path):
            raise ValueError(refusal)
        return path

    def picture(self, name: str | Path) -> Picture:
        """Return the image of that name; raise ValueError, a sentence, where it is none that may be taken."""
        try:
            path = self.find(name)
        except ValueError as error:
            raise ValueError(str(error).replace("there is no file", "there is no image", 1)) from None
        if defect := probe(path).defect:
            raise ValueError(defect)
        return Picture(path.name, path)

    def read_text(self, name: str | Path) -> str:
        """Return the text of a file, less its last line break; raise ValueError, a sentence, where there is none."""
        path = self.find(name)
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                text = file.read()
        except UnicodeDecodeError:
            raise ValueError(f"{path.name} is not UTF-8 text") from None
        except OSError as error:
            raise ValueError(f"{path.name} cannot be read: {error.strerror or error}") from None
        return text.removesuffix("\n").removesuffix("\r")

    def check(self, path: Path) -> Path:
        """Return a table that was found in the folder; raise BakeoffError where it may not be opened."""
        try:
            return self.find(path.absolute())
        except ValueError as error:
            raise BakeoffError(str(error)) from None


def _short(name: str) -> str:
    return name if len(name) <= _CHARS else f"{name[:_CHARS]}…"
