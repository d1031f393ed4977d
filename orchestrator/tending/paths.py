"""Mend the image paths of a dataset that was moved: each file is looked for below a folder, by the end of its path."""

import glob
import itertools
import json
import os
import posixpath
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.datasets import Dataset
from orchestrator.datasets.annotation import SPELLINGS, split_paths
from orchestrator.datasets.table import SPLIT_SUFFIX, Row, Table, open_table, place
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.tending.tables import table_of, write_table


@dataclass(slots=True)
class Mended:
    """How many paths were right, mended, or not found; `lost` says of the first ones why.

    `outside` are the folders of mended images that are not in the dataset's; `parts` what was mended of its parts.
    """

    table: Path
    kept: int = 0
    mended: int = 0
    lost: list[str] = field(default_factory=list)
    outside: set[Path] = field(default_factory=set)
    parts: list["Mended"] = field(default_factory=list)


def fix_paths(dataset: Dataset, root: Path, *, dry_run: bool = False) -> Mended:
    """Rewrite the paths in the dataset's table that lead nowhere to files below `root`; the old table stays as `.bak`.

    A file is found by the longest end of its path that one file below `root` alone has; two paths of the table that
    would lead to one file are lost, for one of them is likely another image's. An older `.bak` stays. The parts beside
    it (`*.split.csv`) are mended likewise. Raises UsageError where `root` is no folder, or the dataset has no images.
    """
    if not root.is_dir():
        raise UsageError(f"--root {root}: there is no such folder")
    whole = table_of(dataset)
    tables = [whole, *map(open_table, _parts(dataset, whole.path))]
    finder = _Finder(root, whole.path.parent)
    for table in tables:
        position = _position(table)
        finder.claim(name for row in table.rows() for name in _names(table, row, position))
    outcome, *parts = [_fix_table(table, finder, dry_run=dry_run) for table in tables]
    outcome.parts = parts
    return outcome


def _parts(dataset: Dataset, table: Path) -> list[Path]:
    """Return the parts of a whole dataset, which lie beside its table; a part has none."""
    if table.name.lower().endswith(SPLIT_SUFFIX):
        return []
    stem = f"{glob.escape(dataset.path.stem)}." if dataset.path.is_file() else ""
    return sorted(table.parent.glob(f"{stem}*{SPLIT_SUFFIX}"))


def _position(table: Table) -> int:
    columns = place(table.columns, SPELLINGS)
    if "image_path" not in columns:
        raise UsageError(f"{table.path}: names no images")
    return columns["image_path"]


def _fix_table(table: Table, finder: "_Finder", *, dry_run: bool) -> Mended:
    outcome = Mended(table.path)
    position = _position(table)
    rows = []
    for row in table.rows():
        cells = list(row.cells)
        names = _names(table, row, position)
        fixed = [finder.fix(name, f"line {row.line}", outcome) for name in names]
        if fixed != names:
            cells[position] = fixed[0] if len(fixed) == 1 else json.dumps(fixed)
        rows.append(cells)
    if outcome.mended and not dry_run:
        if table.path.suffix.lower() == ".xlsx":
            raise UsageError(f"{table.path}: is a workbook; save it as CSV first, which can be rewritten")
        shutil.copy2(table.path, _free_backup(table.path))
        write_table(table.path, table.columns, rows, table.delimiter)
    return outcome


def _names(table: Table, row: Row, position: int) -> list[str]:
    try:
        return split_paths(row.cells[position].strip())
    except ValueError as error:
        raise BakeoffError(f"{table.path}, line {row.line}: {error}") from error


def _free_backup(table: Path) -> Path:
    """Return a name for the table as it was; the first `.bak` is worth most, so none is written over."""
    names = (f"{table.name}.bak{'' if number == 1 else f'-{number}'}" for number in itertools.count(1))
    return next(path for path in map(table.with_name, names) if not os.path.lexists(path))


class _Finder:
    """Finds a file by the end of its path."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._folder = folder
        self._claims: dict[Path, set[str]] = {}
        self._by_name: dict[str, list[Path]] = {}
        for place_, _, files in os.walk(root):
            for name in files:
                self._by_name.setdefault(name, []).append(Path(place_, name))

    def claim(self, names: Iterable[str]) -> None:
        """Note to which file each of the table's paths leads, or would; to be called before any is fixed."""
        for plain in dict.fromkeys(map(_plain, names)):
            found = self._folder / plain
            target = found if found.is_file() else self._find(plain.split("/"))
            if isinstance(target, Path):
                self._claims.setdefault(target.resolve(), set()).add(plain)

    def fix(self, name: str, where: str, outcome: Mended) -> str:
        """Return the path as it should be written; what cannot be found stays."""
        plain = _plain(name)
        if (self._folder / plain).is_file():
            outcome.kept += 1
            return name
        found = self._find(plain.split("/"))
        if isinstance(found, str):
            outcome.lost.append(f"{where}: {name}: {found}")
            return name
        absolute, folder = found.resolve(), self._folder.resolve()
        if others := sorted(self._claims.get(absolute, set()) - {plain}):
            outcome.lost.append(f"{where}: {name}: would lead to {found}, and so does {others[0]}; mend it by hand")
            return name
        outcome.mended += 1
        if absolute.is_relative_to(folder):
            return absolute.relative_to(folder).as_posix()
        outcome.outside.add(absolute.parent)
        return str(absolute)

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


def _plain(name: str) -> str:
    """Return a path of the table as this system writes it."""
    return posixpath.normpath(name.replace("\\", "/")) if name else name
