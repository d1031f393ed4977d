"""What makes an environment the one it is: its pinned packages, its interpreter and its build of torch."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from orchestrator.config import Settings, Workspace
from orchestrator.env.constraints import local_versions
from orchestrator.env.interpreter import Interpreter
from orchestrator.env.uv import find_links
from orchestrator.manifest import Runner

# Raised when an environment built by an older bakeoff must not be used; a newer uv alone rebuilds nothing.
STORE_FORMAT = 1

_COMMENT = re.compile(r"(^|\s+)#.*$")
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)$")
_NAMES_TORCH = re.compile(r"^torch\b(?![.-])", re.MULTILINE)
_TORCH_PIN = re.compile(r"^torch==([^\s;\\+]+)", re.MULTILINE)
_DRIVER_VERSION = Path("/sys/module/nvidia/version")


def fingerprint(workspace: Workspace, runner: Runner, interpreter: Interpreter) -> str:
    """Return the SHA-256, in hex, under which an environment of this content is kept.

    Folders of `find_links` are left out, as they say where a wheel lies and not which one is meant; but for the builds
    of torch in them, which uv takes for the plain one that the lock names.
    """
    return _digest([source_digest(workspace, runner), interpreter.identity])


def source_digest(workspace: Workspace, runner: Runner) -> str:
    """Return the part of the fingerprint that is known before an interpreter was found."""
    content = _content(runner)
    has_torch = _NAMES_TORCH.search(content) is not None
    backend = _resolved_backend(workspace.settings) if has_torch else None
    builds = _offered_builds(workspace, content) if has_torch and backend is None else []
    parts = [STORE_FORMAT, hashlib.sha256(content.encode()).hexdigest(), backend]
    return _digest([*parts, builds] if builds else parts)


def lock_digest(runner: Runner) -> str:
    """Return the SHA-256, in hex, of what `requirements.txt` and `requirements.lock` ask for.

    Comments, blank lines and line ends don't count; files included with `-r` and `-c` do.
    """
    return hashlib.sha256(_content(runner).encode()).hexdigest()


def has_requirements(runner: Runner) -> bool:
    """Tell whether `requirements.txt` asks for anything."""
    return any(_lines(runner.requirements, set()))


def torch_backend(settings: Settings) -> str | None:
    """Return which build of torch is asked for: by the workspace, else by `UV_TORCH_BACKEND`, else None."""
    return settings.torch_backend or os.environ.get("UV_TORCH_BACKEND") or None


def nvidia_driver() -> str | None:
    """Return the version of the NVIDIA driver that Linux has loaded, None where there is none."""
    return _DRIVER_VERSION.read_text(encoding="ascii").strip() if _DRIVER_VERSION.is_file() else None


def _resolved_backend(settings: Settings) -> str | None:
    """Name the backend, and for `auto` the driver that uv chooses by."""
    backend = torch_backend(settings)
    if backend != "auto":
        return backend
    driver = os.environ.get("UV_CUDA_DRIVER_VERSION", nvidia_driver())
    return f"auto, driver {driver}"


def _offered_builds(workspace: Workspace, content: str) -> list[str]:
    """Return the builds, such as `2.13.0+cpu`, that folders of wheels have of a torch that `content` pins."""
    pins = {pin[1] for pin in _TORCH_PIN.finditer(content)}
    offered = local_versions(find_links(workspace.settings, workspace.root)).get("torch", set())
    return sorted(version for version in offered if version.partition("+")[0] in pins)


def _content(runner: Runner) -> str:
    seen: set[Path] = set()
    parts = ["\n".join(_lines(path, seen)) for path in (runner.requirements, runner.lock)]
    return "\n\0\n".join(parts)


def _lines(path: Path, seen: set[Path]) -> Iterator[str]:
    """Yield the lines of a requirements file that mean something, and those of the files it includes."""
    path = path.resolve()
    if path in seen or not path.is_file():
        return
    seen.add(path)
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        meant = (_COMMENT.sub("", line) if "#" in line else line).strip()
        if meant:
            yield meant
        if included := _INCLUDE.match(meant):
            yield from _lines(path.parent / included[1], seen)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
