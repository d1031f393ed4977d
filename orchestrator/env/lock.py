"""Compile a runner's `requirements.txt` into the `requirements.lock` that is committed beside it."""

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from orchestrator.config import Workspace
from orchestrator.env.interpreter import find_interpreter
from orchestrator.env.uv import run_uv
from orchestrator.errors import UsageError
from orchestrator.files import disk_errors, write_atomically
from orchestrator.manifest import Runner

# Where one machine finds wheels must not leak into a file that is committed for all.
_LOCAL = ("UV_FIND_LINKS", "UV_TORCH_BACKEND")


def lock_runner(workspace: Workspace, runner: Runner, *, upgrade: bool = False) -> Path:
    """Write `requirements.lock`, with hashes and for every platform, and return its path.

    Pins of an existing lock are kept as far as they fit, unless `upgrade`. `find_links` and the torch backend
    play no part. Raises UsageError for a runner outside the workspace, BakeoffError or TryLaterError, and leaves
    the old lock then.
    """
    if not runner.folder.is_relative_to(workspace.root):
        mine = workspace.root / "runners" / runner.name
        raise UsageError(f"{runner.folder}: is not this workspace's; copy it to {mine} first, then lock that")
    draft = workspace.envs / f".{runner.name}-{secrets.token_hex(4)}.lock"
    with disk_errors(draft):
        draft.parent.mkdir(parents=True, exist_ok=True)
        if runner.lock.is_file() and not upgrade:
            draft.write_bytes(runner.lock.read_bytes())
    environment = {name: value for name, value in os.environ.items() if name not in _LOCAL}
    try:
        run_uv(workspace, runner, _arguments(workspace, runner, draft), environment)
        write_atomically(runner.lock, draft.read_bytes())
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return runner.lock


def _arguments(workspace: Workspace, runner: Runner, draft: Path) -> list[str]:
    return [
        *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-annotate"),
        *("--custom-compile-command", f"bakeoff env lock {runner.name}"),
        *("--python-version", _python_version(workspace, runner)),
        *(str(runner.requirements), "--output-file", str(draft)),
    ]


def _python_version(workspace: Workspace, runner: Runner) -> str:
    """Return the lowest Python that the lock must hold for; all but a plain version has to be looked up."""
    requested = runner.manifest.python
    if re.fullmatch(r"\d+(\.\d+)+", requested):
        return requested
    return ".".join(find_interpreter(workspace, runner, lambda _: None).version.split(".")[:2])
