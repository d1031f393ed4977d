"""Lend cores, devices and memory to workers, so that models run side by side as long as there is room."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestrator.running.machine import Device, Machine, Need, fits

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Grant:
    """What a worker was lent: the numbers of its cores, None where it is not kept to some, and its devices."""

    cores: tuple[int, ...] | None
    devices: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Claim:
    """What somebody waits for; the lower the `rank`, the sooner."""

    need: Need
    rank: tuple[int, int]


@dataclass(slots=True)
class Pool:
    """What of the machine is free. Claims are served by rank; one that waits for devices keeps no cores from others.

    So a model that waits for a device never stops one that needs cores alone. Once its devices are free it is the next
    for all that it needs, so that no large claim is overtaken for ever by small ones. To be used from any thread.
    """

    machine: Machine
    _cores: list[int] = field(init=False)
    _devices: list[Device] = field(init=False)
    _lent_gb: list[float] = field(init=False, default_factory=list)
    _claims: list[_Claim] = field(init=False, default_factory=list)
    _changed: threading.Condition = field(init=False, default_factory=threading.Condition)

    def __post_init__(self) -> None:
        """Begin with all of the machine."""
        self._cores, self._devices = list(self.machine.cores), list(self.machine.devices)

    @contextmanager
    def lend(
        self, need: Need, rank: tuple[int, int], is_over: Callable[[], bool], on_wait: Callable[[str], None]
    ) -> Iterator[Grant | None]:
        """Wait until `need` is free and yield it; None where `is_over` says meanwhile that it is not needed any more.

        `on_wait` is told again and again for what it waits, in a few words.
        """
        claim = _Claim(need, rank)
        self._claims.append(claim)
        try:
            while (taken := self._serve(claim)) is None and not is_over():
                on_wait(_describe_wait(need))
        finally:
            with self._changed:
                self._claims.remove(claim)
                self._changed.notify_all()
        if taken is None:
            yield None
            return
        cores, devices = taken
        try:
            yield Grant(self._to_pin(cores), tuple(device.name for device in devices))
        finally:
            self._give_back(need, cores, devices)

    def _serve(self, claim: _Claim) -> tuple[list[int], list[Device]] | None:
        """Take what the claim needs as soon as it is free; None where that was not so for a moment."""
        with self._changed:
            if not self._is_next(claim):
                self._changed.wait(_LOOK_EVERY_S)
            return self._take(claim.need) if self._is_next(claim) else None

    def _is_next(self, claim: _Claim) -> bool:
        """Tell whether what the claim needs is free, and nobody of lower rank waits for any of it."""
        kinds = _kinds(claim.need)
        first = [other for other in tuple(self._claims) if other.rank < claim.rank and kinds & self._held(other.need)]
        return not first and self._has(claim.need)

    def _held(self, need: Need) -> set[str]:
        """Return the kinds that a claim which waits for `need` keeps from those behind it."""
        return _kinds(need) if self._has_devices(need) else {"devices"}

    def _has_devices(self, need: Need) -> bool:
        return need.devices <= sum(fits(device, need) for device in self._devices)

    def _has(self, need: Need) -> bool:
        if need.cores > len(self._cores) or not self._has_devices(need):
            return False
        if need.devices or need.memory_gb is None:
            return True
        free_gb = (self.machine.memory_gb or 0.0) - sum(self._lent_gb)
        return need.memory_gb <= free_gb or not self._lent_gb  # one that is too large for all may have all

    def _take(self, need: Need) -> tuple[list[int], list[Device]]:
        cores, self._cores = self._cores[: need.cores], self._cores[need.cores :]
        smallest = sorted((d for d in self._devices if fits(d, need)), key=lambda d: d.memory_gb or 0.0)
        devices = smallest[: need.devices]
        self._devices = [device for device in self._devices if device not in devices]
        if "memory" in _kinds(need):
            self._lent_gb.append(need.memory_gb or 0.0)
        return cores, devices

    def _give_back(self, need: Need, cores: list[int], devices: list[Device]) -> None:
        with self._changed:
            self._cores = sorted([*self._cores, *cores])
            order = {device.name: place for place, device in enumerate(self.machine.devices)}
            self._devices = sorted([*self._devices, *devices], key=lambda device: order[device.name])
            if "memory" in _kinds(need):
                self._lent_gb.remove(need.memory_gb or 0.0)
            self._changed.notify_all()

    def _to_pin(self, cores: list[int]) -> tuple[int, ...] | None:
        return tuple(cores) if 0 < len(cores) < self.machine.pinnable else None


def _kinds(need: Need) -> set[str]:
    kinds = {"cores"} if need.cores else set()
    if need.devices:
        kinds.add("devices")
    elif need.memory_gb is not None:
        kinds.add("memory")
    return kinds


def _describe_wait(need: Need) -> str:
    if need.devices:
        return "waiting for a free device" if need.devices == 1 else f"waiting for {need.devices} free devices"
    if need.cores:
        return "waiting for a free core" if need.cores == 1 else f"waiting for {need.cores} free cores"
    return "waiting for free memory"
