"""Importing: what people have becomes a dataset, a folder with `annotation.csv`; the one listing of its kinds."""

import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

from orchestrator.config import Workspace
from orchestrator.datasets.table import SPLIT_SUFFIX
from orchestrator.errors import BakeoffError, UsageError, nearest
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.importing.writer import ABOUT_NAME, Outcome, write_dataset
from orchestrator.names import RULE, is_plain_name
from orchestrator.parsing import Frozen, parse

__all__ = [
    "KINDS",
    "Kind",
    "Notify",
    "Outcome",
    "Picture",
    "Problem",
    "Record",
    "Source",
    "import_dataset",
    "load_kind",
]


class Kind(Protocol):
    """A module that imports one kind of source. Its docstring is its help, `Options` become its command's options."""

    @property
    def Options(self) -> type[Frozen]:  # noqa: N802 - a class in each module
        """What can be chosen, each field with a default and a description."""
        ...

    def read(self, source: Source, options: Any, notify: Notify) -> Iterator[Record | Problem]:
        """Yield the questions of `source` in a stable order; a Problem for each that cannot be had.

        Raises BakeoffError or UsageError where nothing can be read at all.
        """
        ...


# Modules of this package; each is imported when it is used, for some bring much in.
KINDS = {
    "arkindex": "arkindex",
    "arkindex-sqlite": "arkindex_sqlite",
    "folder": "folder",
    "text-pairs": "text_pairs",
    "layout": "layout",
    "pages": "pages",
    "huggingface": "hugging_face",
    "vlmevalkit": "vlmevalkit",
    "promptfoo": "promptfoo",
    "urls": "urls",
}


_PLACES = ("truth", "images")  # options that name a file or a folder beside the source


def load_kind(name: str) -> Kind:
    """Return the module that imports the kind `name`; raise UsageError where there is none."""
    if name not in KINDS:
        raise UsageError(f"there is no kind '{name}'{nearest(name, KINDS)}; there are {', '.join(KINDS)}")
    return cast("Kind", importlib.import_module(f"orchestrator.importing.{KINDS[name]}"))


def import_dataset(
    workspace: Workspace,
    kind: str,
    source: str,
    name: str,
    options: dict[str, Any] | None = None,
    *,
    replace: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Make `datasets/<name>` of `source`; `options` are the fields of the kind's `Options`.

    The folder appears when it is whole. What cannot be imported is in its `problems.csv`, with the reason. Raises
    UsageError for an unknown kind, an unfit or a taken name (unless `replace`), and where what it would replace was not
    imported or holds the source; BakeoffError where nothing came.
    """
    module = load_kind(kind)
    if not is_plain_name(name):
        raise UsageError(f"'{name}' cannot name a dataset: {RULE}")
    folder = workspace.root / "datasets" / name
    if folder.exists() and not replace:
        raise UsageError(f"there is a dataset '{name}' already; choose another name, or say --replace")
    chosen = parse(options or {}, module.Options, f"import {kind}")
    _refuse_loss(folder, source, chosen)
    parts = sorted(path.name for path in folder.glob(f"*{SPLIT_SUFFIX}"))
    cache = workspace.root / "datasets" / ".cache" / kind
    records = module.read(Source(source, workspace, cache), chosen, notify)
    about = {"kind": kind, "source": source, "options": chosen.model_dump(mode="json", exclude_defaults=True)}
    outcome = write_dataset(folder, records, about)
    if not outcome.rows:
        told = f"; {outcome.problems[0].what}: {outcome.problems[0].reason}" if outcome.problems else ""
        raise BakeoffError(f"{source}: nothing could be imported{told}")
    if outcome.renamed:
        told = ", ".join(f"{old} as {new}" for old, new in outcome.renamed.items())
        notify(f"{name}: kept as further columns, since theirs may not be our meaning: {told}")
    if parts:
        notify(f"{name}: its parts ({', '.join(parts)}) were of the older one and are gone; divide it again")
    return outcome


def _refuse_loss(folder: Path, source: str, options: Frozen) -> None:
    """Raise UsageError where to replace `folder` would lose what cannot be imported again."""
    if not os.path.lexists(folder):
        return
    given = {"the source": source, **{f"--{name}": getattr(options, name, None) for name in _PLACES}}
    for what, place in given.items():
        if place and _is_within(Path(place), folder):
            raise UsageError(
                f"{what} {place} is in the dataset '{folder.name}' that it would replace; choose another name"
            )
    if not (folder / ABOUT_NAME).is_file():
        raise UsageError(f"{folder}: was not imported, it has no {ABOUT_NAME}; move it away, or choose another name")


def _is_within(path: Path, folder: Path) -> bool:
    try:
        return path.expanduser().resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # it is no path: a URL, an id
        return False
