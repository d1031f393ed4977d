"""Datasets, and predictions of other programs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator import tending
from orchestrator.api.places import Place, ignore, open_place
from orchestrator.datasets import open_dataset
from orchestrator.importing import Outcome as ImportOutcome
from orchestrator.importing import import_dataset as import_source
from orchestrator.importing.predictions import Taken
from orchestrator.importing.predictions import import_predictions as take_predictions


def import_dataset(
    kind: str,
    source: str,
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    replace: bool = False,
    workspace: Place = None,
    notify: Callable[[str], None] | None = None,
) -> ImportOutcome:
    """Make the dataset `name` of `source`, which is of `kind`; see `orchestrator.importing`."""
    opened = open_place(workspace)
    return import_source(opened, kind, source, name, dict(options or {}), replace=replace, notify=notify or ignore)


def import_predictions(
    source: Path | str,
    *,
    model: str,
    dataset: str | Path,
    run: str | None = None,
    replace: bool = False,
    workspace: Place = None,
    notify: Callable[[str], None] | None = None,
) -> Taken:
    """Take finished predictions of another program into a run; see `orchestrator.importing.predictions`."""
    opened = open_place(workspace)
    found = open_dataset(opened, str(dataset))
    path = Path(source).expanduser()
    return take_predictions(opened, path, found, model, run=run, replace=replace, notify=notify or ignore)


def check_dataset(
    name: str | Path, *, decode: bool = True, workspace: Place = None, notify: Callable[[str], None] | None = None
) -> tending.Check:
    """Look at every sample of a dataset before a model does; see `orchestrator.tending.check`."""
    opened = open_place(workspace)
    dataset = open_dataset(opened, str(name))
    return tending.check_dataset(dataset, opened.image_folders, decode=decode, notify=notify or ignore)


def fix_paths(name: str | Path, root: Path | str, *, dry_run: bool = False, workspace: Place = None) -> tending.Mended:
    """Rewrite a dataset's image paths that lead nowhere to files below `root`; see `orchestrator.tending.paths`."""
    return tending.fix_paths(open_dataset(open_place(workspace), str(name)), Path(root), dry_run=dry_run)


def split_dataset(
    name: str | Path, shares: Mapping[str, float], *, seed: int = 0, workspace: Place = None
) -> list[tending.Part]:
    """Divide a dataset by document into parts of these shares; see `orchestrator.tending.split`."""
    return tending.split_dataset(open_dataset(open_place(workspace), str(name)), shares, seed=seed)


def sample_dataset(
    name: str | Path,
    count: int,
    part: str = "sample",
    *,
    seed: int = 0,
    per: str | None = None,
    workspace: Place = None,
) -> tending.Part:
    """Draw `count` samples of a dataset (with `per` so many of each doc_class or question_type) as a part of it."""
    return tending.sample_dataset(open_dataset(open_place(workspace), str(name)), count, part, seed=seed, per=per)


def show_dataset(
    name: str | Path, output: Path | str | None = None, *, limit: int = 60, start: int = 0, workspace: Place = None
) -> tuple[Path, int]:
    """Write a page with samples of a dataset (default: `<name>.html` here); return its path and their number."""
    opened = open_place(workspace)
    dataset = open_dataset(opened, str(name))
    path = Path(output) if output else Path(f"{dataset.name}.html")
    return path, tending.write_sheet(dataset, path, opened.image_folders, limit=limit, start=start)
