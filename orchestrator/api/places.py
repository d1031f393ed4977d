"""What the functions behind the commands share: where a workspace and a run are."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.config import Workspace, find_workspace, open_workspace
from orchestrator.errors import UsageError, nearest
from orchestrator.results.layout import PLAN_NAME

Place = Workspace | Path | str | None
"""A workspace or its folder; None: the nearest one upwards from here."""


def run_path(run: Path | str, workspace: Callable[[], Workspace]) -> Path:
    """Return the directory of a run given by path or by name; raise UsageError with the nearest name."""
    as_path = Path(run)
    if (as_path / PLAN_NAME).is_file():
        return as_path.resolve()
    results = workspace().results
    if (results / as_path / PLAN_NAME).is_file():
        return results / as_path
    known = [path.parent.name for path in results.glob(f"*/{PLAN_NAME}")]
    raise UsageError(f"there is no run '{run}'{nearest(str(run), known)} (`bakeoff list runs` shows all)")


def listed(given: Sequence[Any] | Path | str) -> Sequence[Any]:
    """Take one thing for a list of it."""
    return [given] if isinstance(given, (str, Path)) else given


def open_place(workspace: Place) -> Workspace:
    """Return the workspace that is meant; raise UsageError where there is none."""
    if isinstance(workspace, Workspace):
        return workspace
    return open_workspace(Path(workspace)) if workspace else find_workspace()


def ignore(_: object) -> None:
    """Be told something in vain."""
