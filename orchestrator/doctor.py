"""Look for what is missing here, and say how to mend it."""

import glob
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.config import CONFIG_NAME, Workspace, list_models, refuse_secrets
from orchestrator.env import has_requirements, list_envs
from orchestrator.env.fingerprint import nvidia_driver, torch_backend
from orchestrator.env.torch_build import find_build, find_waste
from orchestrator.errors import BakeoffError, nearest
from orchestrator.findings import Finding
from orchestrator.manifest import Need, Runner
from orchestrator.running.machine import look_around
from orchestrator.variables import ENV_NAME, read_variables

FREE_BYTES = 5 * 10**9


def examine(workspace: Workspace) -> Iterator[Finding]:
    """Yield findings on this machine, the workspace and every runner in it; builds nothing and asks no network."""
    yield _find_system()
    yield _find_disk(workspace)
    yield _find_gpu(workspace)
    yield _find_machine(workspace)
    yield Finding("workspace", str(workspace.root))
    for name, defect in workspace.discovery.defects.items():
        yield Finding(f"runner {name}", "unusable", defect)
    for runner in workspace.discovery.runners.values():
        yield from _find_runner(runner)
    yield from _find_builds(workspace)
    for name, table in workspace.own_models.items():
        if name not in list_models(workspace):
            known = nearest(table["runner"], workspace.discovery.runners)
            problem = f"{workspace.root / CONFIG_NAME}: there is no usable runner '{table['runner']}'{known}"
            yield Finding(f"model {name}", "unusable", problem)
        else:
            yield from _find_keys(workspace, name, table)


def _find_keys(workspace: Workspace, name: str, table: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding per variable that the model's own parameters `*_env` name."""
    try:
        refuse_secrets(table, f"model {name}")
    except BakeoffError as error:  # whose key would be shown else
        yield Finding(f"model {name}", "unusable", str(error))
        return
    wanted = [value for key, value in table.items() if key.endswith("_env") and isinstance(value, str)]
    try:
        found = read_variables(workspace.root, wanted)
    except BakeoffError as error:
        yield Finding(f"model {name}", "its key cannot be looked up", str(error))
        return
    for variable in wanted:
        remedy = f"set it, or write {variable}=… into {workspace.root / ENV_NAME}"
        yield Finding(
            *(f"model {name}", f"{variable} is {'set' if variable in found else 'not set'}"),
            None if found.get(variable) else remedy,
        )


def _find_system() -> Finding:
    state = f"Python {sys.version.split()[0]} on {sys.platform}"
    problem = None if os.name == "posix" else "models cannot be run on Windows itself; use WSL"
    return Finding("system", state, problem)


def _find_disk(workspace: Workspace) -> Finding:
    free = shutil.disk_usage(workspace.root).free
    state = f"{free / 1e9:.0f} GB free"
    if not os.access(workspace.root, os.W_OK):
        return Finding("disk", state, f"{workspace.root} cannot be written; choose another folder")
    problem = "environments with torch take several GB; free some space" if free < FREE_BYTES else None
    return Finding("disk", state, problem)


def _find_gpu(workspace: Workspace) -> Finding:
    """Say whether there is a driver, and which build of torch environments get; neither is a problem by itself."""
    driver, backend = nvidia_driver(), torch_backend(workspace.settings)
    gpu = f"NVIDIA driver {driver}" if driver else "no NVIDIA driver, so models run on the CPU"
    if backend:
        return Finding("gpu", f'{gpu}; torch_backend = "{backend}"')
    hint = "" if driver or sys.platform != "linux" else ' ("cpu" in bakeoff.toml saves gigabytes of CUDA)'
    return Finding("gpu", f"{gpu}; torch_backend is not set{hint}")


def _find_machine(workspace: Workspace) -> Finding:
    """Say what models may take side by side."""
    machine = look_around(workspace.settings, with_devices=True)
    named = f"GPUs {', '.join(device.name for device in machine.devices)}" if machine.devices else "no GPU"
    memory = f", {machine.memory_gb:.0f} GB of memory" if machine.memory_gb else ""
    return Finding("to lend", f"{len(machine.cores)} cores{memory}, {named}")


def _find_runner(runner: Runner) -> Iterator[Finding]:
    what = f"runner {runner.name}"
    needs_lock = has_requirements(runner) and not runner.lock.is_file()
    unlocked = f"its versions are not pinned; run `bakeoff env lock {runner.name}`" if needs_lock else None
    yield Finding(what, "locked" if not needs_lock else "not locked", unlocked)
    for need in runner.manifest.needs:
        found = _look_for(need)
        yield Finding(what, f"has {need.what}" if found else f"lacks {need.what}", None if found else need.remedy)


def _find_builds(workspace: Workspace) -> Iterator[Finding]:
    """Say which build of torch is in the environments that runners would use now."""
    for env in list_envs(workspace):
        build = find_build(env.folder) if env.is_current else None
        if build:
            wants_gpu = workspace.discovery.runners[env.runner].manifest.accelerator == "cuda"
            waste = find_waste(env.folder, nvidia_driver()) if wants_gpu else None
            asked = torch_backend(workspace.settings)
            yield Finding(f"runner {env.runner}", f"torch is a build for {build}", None if asked == "cpu" else waste)


def _look_for(need: Need) -> bool:
    if need.program and shutil.which(need.program):
        return True
    return any(glob.glob(os.path.expandvars(str(Path(p).expanduser()))) for p in need.any_path)  # noqa: PTH207 - absolute patterns
