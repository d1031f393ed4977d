"""What several commands share: the workspace, parameters, and showing a run go on."""

import json
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
