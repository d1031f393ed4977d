"""Mend the image paths of a dataset that was moved: each file is looked for below a folder, by the end of its path."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.datasets import Dataset
from orchestrator.datasets.annotation import SPELLINGS, split_paths
from orchestrator.datasets.table import place
from orchestrator.errors import UsageError
from orchestrator.tending.tables import table_of, write_table


@dataclass(slots=True)
class Mended:
    """How many paths were right, mended, or not found; `lost` says of the first ones why."""

    table: Path
    kept: int = 0
    mended: int = 0
    lost: list[str] = field(default_factory=list)


def fix_paths(dataset: Dataset, root: Path, *, dry_run: bool = False) -> Mended:
    """Rewrite the paths in the dataset's table that lead nowhere to files below `root`; the old table stays as `.bak`.

    A file is found by the longest end of its path that one file below `root` alone has. Raises UsageError where `root`
    is no folder, or the dataset has no images.
    """
    if not root.is_dir():
        raise UsageError(f"--root {root}: there is no such folder")
    table = table_of(dataset)
    columns = place(table.columns, SPELLINGS)
    if "image_path" not in columns:
        raise UsageError(f"{table.path}: names no images")
    finder = _Finder(root, table.path.parent)
    outcome = Mended(table.path)
    rows = []
    for row in table.rows():
        cells = list(row.cells)
        names = split_paths(cells[columns["image_path"]].strip())
        fixed = [finder.fix(name, f"line {row.line}", outcome) for name in names]
        if fixed != names:
            cells[columns["image_path"]] = fixed[0] if len(fixed) == 1 else json.dumps(fixed)
        rows.append(cells)
    if outcome.mended and not dry_run:
        if table.path.suffix.lower() == ".xlsx":
            raise UsageError(f"{table.path}: is a workbook; save it as CSV first, which can be rewritten")
        shutil.copy2(table.path, table.path.with_name(f"{table.path.name}.bak"))
        write_table(table.path, table.columns, rows, table.delimiter)
    return outcome


class _Finder:
    """Finds a file by the end of its path."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._folder = folder
        self._by_name: dict[str, list[Path]] = {}
        for place_, _, files in os.walk(root):
            for name in files:
                self._by_name.setdefault(name, []).append(Path(place_, name))

    def fix(self, name: str, where: str, outcome: Mended) -> str:
        """Return the path as it should be written; what cannot be found stays."""
        plain = name.replace("\\", "/")
        if (self._folder / plain).is_file():
            outcome.kept += 1
            return name
        found = self._find(plain.split("/"))
        if isinstance(found, str):
            outcome.lost.append(f"{where}: {name}: {found}")
            return name
        outcome.mended += 1
        absolute, folder = found.resolve(), self._folder.resolve()
        return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else str(absolute)

    def _find(self, parts: Sequence[str]) -> Path | str:
        candidates = self._by_name.get(parts[-1], [])
        for length in range(2, len(parts) + 1):
            if len(candidates) < 2:  # noqa: PLR2004 - one is what is looked for
                break
            closer = [path for path in candidates if list(path.parts[-length:]) == list(parts[-length:])]
            if not closer:
                break
            candidates = closer
        if not candidates:
            return "no file below the root is called so"
        return candidates[0] if len(candidates) == 1 else f"{len(candidates)} files below the root are called so"
