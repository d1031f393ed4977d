"""Datasets: the one listing of their kinds, and how one is opened by name or path."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.config import CONFIG_NAME, Workspace, resource_path
from orchestrator.datasets import annotation, text
from orchestrator.datasets.sample import Box, Sample
from orchestrator.datasets.table import SPLIT_SUFFIX, SUFFIXES
from orchestrator.errors import BakeoffError, UsageError, nearest

__all__ = ["KINDS", "Box", "Dataset", "Kind", "Sample", "list_datasets", "open_dataset"]


class Kind(Protocol):
    """A module that reads one kind of dataset."""

    def matches(self, path: Path) -> bool:
        """Tell whether the folder or file `path` is of this kind, by its names and header alone."""
        ...

    def load(self, path: Path) -> Iterator[Sample]:
        """Yield the samples of `path` in a stable order with unique ids; raise BakeoffError for a defect."""
        ...


# The first that matches reads it, so the more particular come first.
KINDS: dict[str, Kind] = {"annotation": annotation, "text": text}


@dataclass(frozen=True, slots=True)
class Dataset:
    """A folder or file of a known kind; iterating reads it anew, one sample at a time."""

    name: str
    path: Path
    kind: str

    @property
    def folder(self) -> Path:
        """Where its images should lie."""
        return self.path if self.path.is_dir() else self.path.parent

    def __iter__(self) -> Iterator[Sample]:
        """Yield its samples; raise BakeoffError for a defect, or where there is none."""
        is_empty = True
        for sample in KINDS[self.kind].load(self.path):
            is_empty = False
            yield sample
        if is_empty:
            raise BakeoffError(f"{self.path}: the dataset is empty; it needs at least one row below the header")


def open_dataset(workspace: Workspace, given: str) -> Dataset:
    """Open the dataset `given`, a name below `datasets/` or a path, and read its first sample.

    Raises UsageError where there is no such thing, or no such folder as its images may lie in; BakeoffError for a
    defect found so far.
    """
    path = resource_path(workspace, "datasets", given) or resource_path(workspace, "datasets", given + SPLIT_SUFFIX)
    if path is None and ("/" in given or given.startswith(("~", "."))):
        raise UsageError(f"there is no folder and no file {given if given[0] == '~' else Path(given).absolute()}")
    if path is None:
        names = list_datasets(workspace)
        raise UsageError(f"there is no dataset '{given}'{nearest(given, names)} (`bakeoff list datasets` shows all)")
    if not _is_text(str(path)):
        raise UsageError(f"{path}: the name of a file or folder on this way is not UTF-8 text; rename it")
    if path.name.lower() == annotation.FILE_NAME and path.is_file():
        path = path.parent
    dataset = Dataset(_name(path), path, _kind(path))
    next(iter(dataset))
    if dataset.kind != "text":
        _check_image_folders(workspace)
    return dataset


def list_datasets(workspace: Workspace) -> tuple[str, ...]:
    """Return the names below `datasets/`, whether or not each can be read."""
    folder = workspace.root / "datasets"
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    return tuple(p.name for p in entries if p.name[0] not in "._" and (p.is_dir() or p.suffix.lower() in SUFFIXES))


def _name(path: Path) -> str:
    """Return what runs over a dataset are called: its folder or file, a part of one after both."""
    if path.is_dir():
        return path.name
    if path.name.lower().endswith(SPLIT_SUFFIX):
        return f"{path.parent.name}-{path.name[: -len(SPLIT_SUFFIX)]}"
    return path.stem


def _check_image_folders(workspace: Workspace) -> None:
    for folder in workspace.image_folders:
        if not os.path.isdir(folder):  # noqa: PTH112 - a Path's raises for names too long
            raise UsageError(
                f"{workspace.root / CONFIG_NAME}: image_folders: there is no folder {folder}; "
                "correct it, mount it, or take it out"
            )


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(path: Path) -> str:
    kind = next((name for name, kind in KINDS.items() if kind.matches(path)), None)
    if kind is not None:
        return kind
    tables = sorted(p.name for p in path.iterdir() if p.suffix.lower() in SUFFIXES) if path.is_dir() else []
    if tables:
        raise BakeoffError(f"{path}: holds {len(tables)} tables ({', '.join(tables[:5])}); give the path of one")
    raise BakeoffError(f"{path}: is not a dataset; it should be a csv file, or a folder with {annotation.FILE_NAME}")
