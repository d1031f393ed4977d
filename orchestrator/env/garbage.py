"""List the environments of a workspace and remove those that nobody needs."""

import secrets
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.config import Workspace
from orchestrator.env.fingerprint import fingerprint, source_digest
from orchestrator.env.folders import last_used_s, list_folders, remove_leftovers
from orchestrator.env.interpreter import recall_interpreter
from orchestrator.env.locks import removing
from orchestrator.env.state import State, read_state
from orchestrator.files import disk_errors

_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class EnvInfo:
    """One environment in a listing; it `is_current` if its runner would use it today."""

    runner: str
    fingerprint: str
    folder: Path
    size_bytes: int
    built_at: datetime
    last_used_at: datetime
    is_current: bool


def list_envs(workspace: Workspace) -> list[EnvInfo]:
    """Return every finished environment, by runner, the last built first; nothing is changed or started."""
    infos = [_describe(workspace, folder) for folder in list_folders(workspace.envs)]
    known = [info for info in infos if info is not None]
    return sorted(known, key=lambda info: (info.runner, -info.built_at.timestamp()))


def collect_garbage(workspace: Workspace, older_than_days: float, *, include_current: bool = False) -> list[EnvInfo]:
    """Remove environments not used for `older_than_days`, and what killed builds left; return the former.

    One that is in use or being built stays, and so does a current one unless `include_current`.
    """
    remove_leftovers(workspace.envs)
    limit_s = time.time() - older_than_days * _DAY_S
    removed = []
    for folder in list_folders(workspace.envs):
        info = _describe(workspace, folder)
        may_go = info is None or include_current or not info.is_current
        if may_go and _remove(folder, limit_s) and info is not None:
            removed.append(info)
    return removed


def _describe(workspace: Workspace, folder: Path) -> EnvInfo | None:
    state = read_state(folder)
    if state is None:
        return None
    return EnvInfo(
        runner=state.runner,
        fingerprint=state.fingerprint,
        folder=folder,
        size_bytes=state.size_bytes,
        built_at=state.built_at,
        last_used_at=datetime.fromtimestamp(last_used_s(folder), UTC),
        is_current=_is_current(workspace, state),
    )


def _is_current(workspace: Workspace, state: State) -> bool:
    """Compare with what the runner asks for now; without a known interpreter the sources alone decide."""
    runner = workspace.discovery.runners.get(state.runner)
    if runner is None:
        return False
    interpreter = recall_interpreter(workspace, runner.manifest.python)
    if interpreter is None:
        return state.source == source_digest(workspace, runner)
    return state.fingerprint == fingerprint(workspace, runner, interpreter)


def _remove(folder: Path, limit_s: float) -> bool:
    """Remove an environment unless it is in use, or was used after `limit_s`; its name goes at once."""
    with removing(folder) as is_free:
        if not is_free or last_used_s(folder) > limit_s:
            return False
        trash = folder.with_name(f"{folder.name}.trash-{secrets.token_hex(4)}")
        with disk_errors(folder):
            folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
    return True
