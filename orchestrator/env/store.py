"""Get a runner's environment: the one that is there, or one built once however many ask."""

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import Workspace
from orchestrator.env.build import Order, build_env
from orchestrator.env.check import find_damage, find_defect
from orchestrator.env.fingerprint import fingerprint, has_requirements, lock_digest
from orchestrator.env.folders import env_folder, remove_leftovers, touch
from orchestrator.env.interpreter import find_interpreter, recall_interpreter
from orchestrator.env.locks import building, using
from orchestrator.env.state import read_state
from orchestrator.errors import TryLaterError
from orchestrator.manifest import Runner


@dataclass(frozen=True, slots=True)
class Env:
    """A built environment; only `python` is ever called. `packages` maps names to versions.

    `torch_build` is `cpu`, `cu128` and the like, None where there is no torch.
    """

    fingerprint: str
    python: Path
    folder: Path
    locked: bool
    packages: dict[str, str]
    python_version: str
    torch_build: str | None = None


def ensure_env(
    workspace: Workspace, runner: Runner, notify: Callable[[str], None], is_over: Callable[[], bool] = lambda: False
) -> Env:
    """Return the runner's environment, built first if it is not there or not well.

    An environment that is there costs a few file reads: no process is started, no network touched. A runner
    with a command and no requirements needs none and gets our own interpreter. Where somebody else builds it, this one
    waits until `is_over` says that nobody needs it. Raises BakeoffError, DiskError or TryLaterError, each one sentence
    that names the runner.
    """
    if runner.manifest.command and not has_requirements(runner):
        return _no_env(runner)
    interpreter = recall_interpreter(workspace, runner.manifest.python)
    if interpreter is not None:
        wanted = fingerprint(workspace, runner, interpreter)
        ready = _open(env_folder(workspace, runner, wanted), wanted)
        if ready is not None:
            return ready
    return _build_once(workspace, runner, notify, is_over)


@contextmanager
def use_env(env: Env) -> Iterator[None]:
    """Keep an environment from being removed; raise TryLaterError if that has happened already."""
    if not _was_built(env):
        yield
        return
    with using(env.folder):
        defect = find_defect(env.folder, env.fingerprint)
        if defect is not None:
            raise TryLaterError(f"{env.folder}: {defect}; run the same command again")
        yield


def check_env(env: Env) -> str | None:
    """Compare every file of an environment with what was installed; return a sentence, or None if well."""
    if not _was_built(env):
        return None
    return find_defect(env.folder, env.fingerprint) or find_damage(env.folder)


def _no_env(runner: Runner) -> Env:
    return Env(
        fingerprint=lock_digest(runner),
        python=Path(sys.executable),
        folder=runner.folder,
        locked=True,
        packages={},
        python_version=platform.python_version(),
    )


def _was_built(env: Env) -> bool:
    """Tell a built environment from the one of a runner that needs none."""
    return env.python.is_relative_to(env.folder)


def _open(folder: Path, wanted: str) -> Env | None:
    """Return the environment in `folder` and note that it is used, or None if it cannot be."""
    state = read_state(folder)
    if state is None or find_defect(folder, wanted) is not None:
        return None
    touch(folder)
    return Env(
        fingerprint=wanted,
        python=folder / "bin" / "python",
        folder=folder,
        locked=state.locked,
        packages=state.packages,
        python_version=state.interpreter.version,
        torch_build=state.torch_build,
    )


def _build_once(
    workspace: Workspace, runner: Runner, notify: Callable[[str], None], is_over: Callable[[], bool]
) -> Env:
    """Build under the environment's lock, unless another process has done so while this one waited for it."""
    remove_leftovers(workspace.envs)
    interpreter = find_interpreter(workspace, runner, notify)
    wanted = fingerprint(workspace, runner, interpreter)
    folder = env_folder(workspace, runner, wanted)
    with building(folder, _waiting(runner, notify, is_over)):
        ready = _open(folder, wanted)
        if ready is not None:
            return ready
        for unfinished in folder.parent.glob(f"{folder.name}.tmp-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        notify(_announcement(runner, folder, wanted))
        build_env(Order(workspace, runner, interpreter, wanted, notify), folder)
        built = _open(folder, wanted)
    if built is None:
        raise TryLaterError(f"{runner.name}: its environment was removed while it was built; run the command again")
    return built


def _waiting(runner: Runner, notify: Callable[[str], None], is_over: Callable[[], bool]) -> Callable[[], None]:
    """Return what tells once that another builds the environment, and raises when it is not needed any more."""
    told: list[str] = []

    def wait() -> None:
        if is_over():
            raise TryLaterError(f"{runner.name}: stopped while its environment was being built")
        if not told:
            told.append(f"{runner.name}: somebody else, perhaps another model, builds its environment; waiting")
            notify(told[0])

    return wait


def _announcement(runner: Runner, folder: Path, wanted: str) -> str:
    if folder.exists():
        return f"{runner.name}: building its environment again: {find_defect(folder, wanted)}"
    how_long = " (a large one may take minutes)" if has_requirements(runner) else ", which is empty"
    return f"{runner.name}: building its environment, once{how_long}"
