"""What several commands share: the workspace, parameters, and where results are shown and written."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from orchestrator.config import Workspace, find_workspace, open_workspace
from orchestrator.errors import UsageError


def current_workspace() -> Workspace:
    """Return the workspace named by --workspace, else the nearest one."""
    given = click.get_current_context().find_root().obj
    return open_workspace(Path(given)) if given else find_workspace()


def shown_path(path: Path) -> str:
    """Return `path` as a person here would write it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def check_output(path: Path | None, forms: Sequence[str] = ()) -> None:
    """Raise UsageError where no file can be written to `path`, or where its name ends in none of `forms`.

    It is asked before anything is read, so that nobody waits for a file that cannot be.
    """
    if path is None:
        return
    if forms and path.suffix.lower() not in forms:
        raise UsageError(f"--output {path}: give a file that ends in {', '.join(forms[:-1])} or {forms[-1]}")
    if path.is_dir():
        raise UsageError(f"--output {path}: is a folder; give a file's name")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--output {path}: there is no folder {path.parent}")


def check_folder(path: Path | None, option: str) -> None:
    """Raise UsageError where `path`, which need not be there yet, cannot be a folder for what `option` is about."""
    if path is None:
        return
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise UsageError(f"{option} {path}: {there} is a file; give a folder's name")


def parse_params(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of `K=V` pairs; V is JSON where it can be (0.2, true, [1]), else text."""
    params = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UsageError(f"--param {pair}: write it as NAME=VALUE, such as temperature=0.2")
        try:
            params[key] = json.loads(value)
        except json.JSONDecodeError:
            params[key] = value
    return params
