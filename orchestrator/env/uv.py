"""Run uv with the user's own configuration, and turn what it says about a failure into one sentence."""

import os
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from orchestrator.config import Settings, Workspace
from orchestrator.env.failures import explain
from orchestrator.errors import BakeoffError
from orchestrator.files import disk_errors, write_atomically
from orchestrator.manifest import Runner
from orchestrator.process import Completed, run

_LOG_BYTES = 64 * 1024


def run_uv(
    workspace: Workspace, runner: Runner, arguments: Sequence[str], environment: dict[str, str] | None = None
) -> Completed:
    """Run `uv ARGUMENTS` in the runner's folder, so that settings of uv found above it count.

    `environment` replaces the user's. Raises BakeoffError, DiskError or TryLaterError, whose sentence names
    the runner and the file with uv's last lines.
    """
    quiet = {"NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
    base = os.environ if environment is None else environment
    done = run([_find_uv(), *arguments], env={**base, **quiet}, cwd=runner.folder)
    if done.returncode == 0:
        return done
    output = (done.stdout + done.stderr).strip() or f"uv ended with status {done.returncode}"
    log = _write_log(workspace, runner, arguments, output)
    raise explain(output, runner, log)


def find_links(settings: Settings, workspace_root: Path) -> list[str]:
    """Return the places with wheels: the workspace's (its folders made absolute), then `UV_FIND_LINKS`."""
    own = [place if "://" in place else str(workspace_root / place) for place in settings.find_links]
    given = [place.strip() for place in os.environ.get("UV_FIND_LINKS", "").split(",")]
    return [*own, *(place for place in given if place)]


def uv_version() -> str:
    """Return the version of the uv that is installed beside us."""
    return metadata.version("uv")


def _find_uv() -> str:
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - nothing but a build pays for it

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        raise BakeoffError("uv is not installed beside bakeoff; run `pip install --force-reinstall uv`") from error


def _write_log(workspace: Workspace, runner: Runner, arguments: Sequence[str], output: str) -> Path:
    path = workspace.envs / "logs" / f"{runner.name}.log"
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    text = f"uv {' '.join(arguments)}\n\n{output}\n"
    write_atomically(path, text.encode()[-_LOG_BYTES:])
    return path
