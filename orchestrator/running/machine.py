"""What this machine has for models to run on: cores, devices such as GPUs, and memory."""

import os
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import Model, Settings
from orchestrator.errors import BakeoffError
from orchestrator.process import run

_QUERY = ("nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")
_QUERY_TIMEOUT_S = 30.0
_MIB_PER_GB = 1e9 / 2**20
_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, by the name that CUDA_VISIBLE_DEVICES takes; `memory_gb` is None where nobody knows."""

    name: str
    memory_gb: float | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is: the numbers of cores, devices, and the memory of the whole, None where the system does not say.

    A worker can be kept to fewer cores than `pinnable`, which is 0 where it cannot be kept to any.
    """

    cores: tuple[int, ...]
    devices: tuple[Device, ...] = ()
    memory_gb: float | None = None
    pinnable: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """What one worker takes: so many cores and devices, and memory, of each device or else of the machine."""

    cores: int = 0
    devices: int = 0
    memory_gb: float | None = None


def look_around(settings: Settings, *, with_devices: bool) -> Machine:
    """Return what the machine has, as far as the workspace does not say it; devices are looked for if asked for."""
    own = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()
    cores = own or tuple(range(os.cpu_count() or 1))
    if settings.cores is not None:
        cores = tuple(range(settings.cores)) if settings.cores > len(cores) else cores[: settings.cores]
    return Machine(
        cores=cores,
        devices=_find_devices(settings) if with_devices else (),
        memory_gb=_read_memory_gb(),
        pinnable=len(own) if set(cores) <= set(own) and not settings.launcher else 0,  # a launcher's may be elsewhere
    )


def need_of(model: Model, machine: Machine) -> Need:
    """Return what a worker of `model` takes on `machine`.

    Without a known device one that wants a device takes all cores, on which it then runs. Raises BakeoffError where the
    machine never has what it takes.
    """
    hints, has_devices = model.hints, bool(machine.devices)
    if model.runner.manifest.accelerator != "none" and has_devices:
        need = Need(min(hints.cores or 0, len(machine.cores)), hints.devices, hints.memory_gb)
        _refuse_too_large(model.name, need, machine)
        return need
    is_whole = hints.cores is None or model.runner.manifest.accelerator != "none"
    cores = len(machine.cores) if is_whole else min(hints.cores or 0, len(machine.cores))
    return Need(cores, 0, None if machine.memory_gb is None or hints.memory_gb is None else hints.memory_gb)


def _refuse_too_large(name: str, need: Need, machine: Machine) -> None:
    if need.devices > len(machine.devices):
        raise BakeoffError(
            f"it takes {need.devices} devices, and there are {len(machine.devices)} "
            f"({', '.join(device.name for device in machine.devices)}); set `devices` of the model {name}, "
            "or those in bakeoff.toml"
        )
    large = [device for device in machine.devices if fits(device, need)]
    if need.devices > len(large):
        most = max(device.memory_gb or 0.0 for device in machine.devices)
        raise BakeoffError(
            f"it takes {need.devices} devices of {need.memory_gb:g} GB, and the largest here has {most:.0f} GB; "
            f"set `memory_gb` of the model {name} if it needs less"
        )


def fits(device: Device, need: Need) -> bool:
    """Tell whether the device has the memory that a worker needs, as far as both are known."""
    return need.memory_gb is None or device.memory_gb is None or need.memory_gb <= device.memory_gb


def _find_devices(settings: Settings) -> tuple[Device, ...]:
    """Return the devices that the workspace names, or CUDA_VISIBLE_DEVICES, or else all that the driver knows."""
    named = settings.devices
    if named is None and (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        named = tuple(name.strip() for name in visible.split(",") if name.strip() not in {"", "-1", "NoDevFiles"})
    if named is None and settings.launcher:
        return ()
    known = _ask_driver()
    if named is None:
        return tuple(Device(uuid, memory_gb) for _, uuid, memory_gb in known)
    memories = {name: memory_gb for index, uuid, memory_gb in known for name in (index, uuid)}
    return tuple(Device(name, memories.get(name)) for name in dict.fromkeys(named))


def _ask_driver() -> list[tuple[str, str, float | None]]:
    """Return index, UUID and memory of each NVIDIA GPU; nothing where there is no driver or it does not answer."""
    if not _DRIVER.exists():
        return []
    try:
        done = run(_QUERY, timeout_s=_QUERY_TIMEOUT_S)
    except BakeoffError:
        return []
    rows = [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines() if line.count(",") == 2]  # noqa: PLR2004
    return [(index, uuid, float(mib) / _MIB_PER_GB if mib.isdigit() else None) for index, uuid, mib in rows]


def _read_memory_gb() -> float | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (ValueError, OSError, AttributeError):
        return None
