"""Find the Python that a runner asks for, and remember it so that asking again starts no process."""

import json
import platform
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from orchestrator.config import Workspace
from orchestrator.env.uv import run_uv
from orchestrator.errors import BakeoffError
from orchestrator.files import disk_errors, write_atomically
from orchestrator.manifest import Runner
from orchestrator.parsing import Frozen, parse, read_json
from orchestrator.process import run

_PROBE = """
import json, os, platform, sys, sysconfig
base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
stat = os.stat(base)
print(json.dumps({"path": base, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns,
    "version": platform.python_version(), "implementation": sys.implementation.name,
    "abi": sysconfig.get_config_var("SOABI") or "", "platform": sysconfig.get_platform()}))
"""
_PROBE_TIMEOUT_S = 60.0


class Interpreter(Frozen):
    """A Python that environments are built upon: the real file, behind links and shims."""

    path: Path
    size: int
    mtime_ns: int
    version: str
    implementation: str
    abi: str
    platform: str

    @property
    def identity(self) -> list[str]:
        """What two machines must share to share a fingerprint; the path is not part of it."""
        return [self.version, self.implementation, self.abi, self.platform]

    def is_unchanged(self) -> bool:
        """Tell whether the file is the one that was seen."""
        try:
            stat = self.path.stat()
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


class _Known(Frozen):
    """The content of `envs/pythons.json`."""

    pythons: dict[str, Interpreter]


def recall_interpreter(workspace: Workspace, requested: str) -> Interpreter | None:
    """Return the interpreter found earlier for `requested`, if it is still the same file."""
    found = _read_known(workspace).pythons.get(_key(requested))
    return found if found is not None and found.is_unchanged() else None


def find_interpreter(workspace: Workspace, runner: Runner, notify: Callable[[str], None]) -> Interpreter:
    """Return the interpreter for a runner: the one used before, else our own if it fits, else uv's choice.

    uv may download one. Raises BakeoffError, or TryLaterError without a network, where there is none.
    """
    requested = runner.manifest.python
    found = recall_interpreter(workspace, requested)
    if found is None:
        found = probe(Path(sys.executable)) if _is_ours(requested) else _ask_uv(workspace, runner, notify)
        known = {**_read_known(workspace).pythons, _key(requested): found}
        content = {"pythons": {key: value.model_dump(mode="json") for key, value in known.items()}}
        with disk_errors(workspace.envs):
            workspace.envs.mkdir(parents=True, exist_ok=True)
        write_atomically(_known_path(workspace), json.dumps(content, indent=1).encode())
    return found


def probe(python: Path) -> Interpreter:
    """Let `python` describe the interpreter under it; raise BakeoffError where it does not run."""
    done = run([str(python), "-I", "-c", _PROBE], timeout_s=_PROBE_TIMEOUT_S)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        raise BakeoffError(f"{python}: does not run: {last}")
    return parse(json.loads(done.stdout), Interpreter, str(python))


def _is_ours(requested: str) -> bool:
    """Tell whether a plain version such as `3.11` is a prefix of our own."""
    if sys.implementation.name != "cpython" or not re.fullmatch(r"\d+\.\d+(\.\d+)?", requested):
        return False
    parts = requested.split(".")
    return platform.python_version().split(".")[: len(parts)] == parts


def _ask_uv(workspace: Workspace, runner: Runner, notify: Callable[[str], None]) -> Interpreter:
    """Let `uv venv` search, and download if need be; a bare environment shows what it chose.

    Unlike `uv python install` that puts nothing into the user's `~/.local/bin`.
    """
    requested = runner.manifest.python
    notify(f"{runner.name}: looking for Python {requested} (uv downloads it if there is none here)")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "env")
        run_uv(workspace, runner, ["venv", "--quiet", "--no-project", "--python", requested, str(folder)])
        return probe(folder / "bin" / "python")


def _known_path(workspace: Workspace) -> Path:
    return workspace.envs / "pythons.json"


def _read_known(workspace: Workspace) -> _Known:
    """Read what was found before; a damaged file is the same as none, since it can be found again."""
    try:
        return read_json(_known_path(workspace), _Known)
    except BakeoffError:
        return _Known(pythons={})


def _key(requested: str) -> str:
    """Keep machines apart that share a disk: the same path may hold another machine's program."""
    return f"{sys.platform}-{platform.machine()} {requested}"
