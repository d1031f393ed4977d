"""Let a user's own metric import the `_*.py` files beside it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path


class _Helpers(MetaPathFinder):
    """Finds the modules whose names begin with `_` in a folder, where Python itself has none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: list[str] = []

    def find_spec(
        self,
        fullname: str,
        path: object,
        target: object = None,  # noqa: ARG002 - importlib's signature
    ) -> ModuleSpec | None:
        file = self.folder / f"{fullname}.py"
        if path is not None or not fullname.startswith("_") or not file.is_file():
            return None
        self.found.append(fullname)
        return spec_from_file_location(fullname, file)


@contextmanager
def helpers_of(folder: Path) -> Iterator[None]:
    """Let a file import the `_*.py` beside it; they are forgotten after, and nothing is written."""
    finder, wrote_none = _Helpers(folder), sys.dont_write_bytecode
    sys.meta_path.append(finder)
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = wrote_none
        sys.meta_path.remove(finder)
        for name in finder.found:
            sys.modules.pop(name, None)
