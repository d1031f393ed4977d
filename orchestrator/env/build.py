"""Build one environment beside its place, look whether it is well, and only then move it there.

Bytecode is not compiled here. Workers run with `-I`, which ignores PYTHONDONTWRITEBYTECODE, so their first
start compiles just what it imports: for torch and transformers 11 s once, against 22 s and 200 MB for every
module at install. Who wants that sets UV_COMPILE_BYTECODE=1, which uv honours.
"""

import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.config import Workspace
from orchestrator.env.check import find_defect
from orchestrator.env.constraints import Constraints, normalise, read_constraints
from orchestrator.env.fingerprint import has_requirements, nvidia_driver, source_digest, torch_backend
from orchestrator.env.interpreter import Interpreter, probe
from orchestrator.env.state import State, list_contents, write_state
from orchestrator.env.torch_build import find_build, find_mismatch, find_waste
from orchestrator.env.uv import find_links, run_uv, uv_version
from orchestrator.errors import BakeoffError
from orchestrator.files import disk_errors
from orchestrator.manifest import Runner


@dataclass(frozen=True, slots=True)
class Order:
    """What to build: for which runner, upon which interpreter, under which fingerprint."""

    workspace: Workspace
    runner: Runner
    interpreter: Interpreter
    fingerprint: str
    notify: Callable[[str], None]


def build_env(order: Order, folder: Path) -> None:
    """Build an environment and move it to `folder`, all or nothing; the caller holds its lock.

    What lies at `folder` is moved aside first. Raises BakeoffError, DiskError or TryLaterError.
    """
    temporary = folder.with_name(f"{folder.name}.tmp-{secrets.token_hex(4)}")
    try:
        _create(order, temporary)
        write_state(temporary, _install(order, temporary))
        defect = find_defect(temporary, order.fingerprint)
        if defect is not None:
            raise BakeoffError(f"{order.runner.name}: its environment was built but is not well: {defect}")
        with disk_errors(folder):
            if folder.exists():
                folder.rename(folder.with_name(f"{folder.name}.trash-{secrets.token_hex(4)}"))
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _create(order: Order, folder: Path) -> None:
    """Make an empty environment that may be renamed."""
    python = str(order.interpreter.path)
    arguments = ["venv", "--quiet", "--no-project", "--relocatable", "--python", python, str(folder)]
    run_uv(order.workspace, order.runner, arguments)
    found = probe(folder / "bin" / "python")
    if found.identity != order.interpreter.identity:
        raise BakeoffError(
            f"{order.runner.name}: its environment got Python {found.version} "
            f"instead of {order.interpreter.version}; look at uv's settings (UV_PYTHON…)"
        )


def _install(order: Order, folder: Path) -> State:
    """Install what the runner asks for and describe the result."""
    runner, settings = order.runner, order.workspace.settings
    places = find_links(settings, order.workspace.root)
    backend = torch_backend(settings)
    lock = read_constraints(runner.lock, places, backend) if runner.lock.is_file() else None
    packages: dict[str, str] = {}
    if has_requirements(runner):
        if lock is None:
            order.notify(
                f"{runner.name}: has no requirements.lock, so the newest versions of today are installed; "
                f"pin them with `bakeoff env lock {runner.name}`"
            )
        environment = _uv_environment(places, backend)
        run_uv(order.workspace, runner, _install_arguments(runner, folder, lock), environment)
        packages = _list_packages(order, folder)
        if mismatch := find_mismatch(folder, backend, nvidia_driver()):
            raise BakeoffError(f"{runner.name}: {mismatch}; a wheel folder or the uv cache may offer no other")
        if backend is None and runner.manifest.accelerator == "cuda" and (waste := find_waste(folder, nvidia_driver())):
            order.notify(f"{runner.name}: {waste}")
    return State(
        fingerprint=order.fingerprint,
        source=source_digest(order.workspace, runner),
        runner=runner.name,
        interpreter=order.interpreter,
        locked=_is_locked(order, lock, packages),
        packages=packages,
        unverified=tuple(name for name in lock.unverified if name in packages) if lock else (),
        torch_backend=backend,
        torch_build=find_build(folder),
        uv=uv_version(),
        built_at=datetime.now(UTC),
        size_bytes=_size_bytes(folder),
        contents=list_contents(folder),
    )


def _uv_environment(places: list[str], backend: str | None) -> dict[str, str]:
    """Return the user's environment, with the workspace's settings over it."""
    own = {"UV_FIND_LINKS": ",".join(places), "UV_TORCH_BACKEND": backend}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    return environment | {name: value for name, value in own.items() if value}


def _install_arguments(runner: Runner, folder: Path, lock: Constraints | None) -> list[str]:
    python = str(folder / "bin" / "python")
    arguments = ["pip", "install", "--quiet", "--python", python, "-r", str(runner.requirements)]
    if lock is None:
        return arguments
    constraints = folder / "constraints.txt"
    with disk_errors(constraints):
        constraints.write_text(lock.text, encoding="utf-8")
    return [*arguments, "-c", str(constraints)]


def _list_packages(order: Order, folder: Path) -> dict[str, str]:
    """Return the version of every installed package, both as indexes write them."""
    python = str(folder / "bin" / "python")
    done = run_uv(order.workspace, order.runner, ["pip", "list", "--quiet", "--format=json", "--python", python])
    return {normalise(row["name"]): row["version"] for row in json.loads(done.stdout)}


def _is_locked(order: Order, lock: Constraints | None, packages: dict[str, str]) -> bool:
    """Tell whether the lock pins every package; say which it doesn't."""
    unpinned = lock.find_unpinned(packages) if lock else list(packages)
    if lock and unpinned:
        name = order.runner.name
        order.notify(f"{name}: requirements.lock does not pin {', '.join(unpinned)}; run `bakeoff env lock {name}`")
    return not unpinned


def _size_bytes(folder: Path) -> int:
    """Add up the files; those that are hard links into uv's cache are counted although they cost nothing."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))
