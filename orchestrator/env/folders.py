"""Where environments lie below `envs/`, what is left over there, and when each was used."""

import re
import shutil
from contextlib import suppress
from pathlib import Path

from orchestrator.config import Workspace
from orchestrator.env.locks import removing
from orchestrator.manifest import Runner

_LAST_USED = ".last-used"
_SHOWN_DIGITS = 12
_NAME = re.compile(rf"[A-Za-z0-9_-]+-[0-9a-f]{{{_SHOWN_DIGITS}}}")
_LEFTOVER = re.compile(rf"({_NAME.pattern})\.(?:tmp|trash)-[0-9a-f]+")


def env_folder(workspace: Workspace, runner: Runner, fingerprint: str) -> Path:
    """Return where the environment with this fingerprint lies, or would."""
    return workspace.envs / f"{runner.name}-{fingerprint[:_SHOWN_DIGITS]}"


def list_folders(envs: Path) -> list[Path]:
    """Return every folder that has the name of an environment, whole or not."""
    return sorted(path for path in envs.glob("*") if _NAME.fullmatch(path.name))


def remove_leftovers(envs: Path) -> None:
    """Remove what killed builds left, unless the environment is being built or used at this moment."""
    for path in sorted(envs.glob("*")):
        if found := _LEFTOVER.fullmatch(path.name):
            with removing(path.with_name(found[1])) as is_free:
                if is_free:
                    shutil.rmtree(path, ignore_errors=True)


def touch(folder: Path) -> None:
    """Note that an environment is used now; one that cannot be written to is used all the same."""
    with suppress(OSError):
        (folder / _LAST_USED).touch()


def last_used_s(folder: Path) -> float:
    """Return when an environment was last asked for, in seconds since the epoch; 0 if that is not known."""
    try:
        return (folder / _LAST_USED).stat().st_mtime
    except OSError:
        return 0.0
