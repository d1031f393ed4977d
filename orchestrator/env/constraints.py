"""The lock as uv gets it: every pin, and every hash that can hold for what is to be installed.

uv checks the hashes of a constraints file. A build of torch for one backend (`torch 2.13.0+cpu` for the pin
`torch==2.13.0`) comes from elsewhere than the lock's index, so that its hash is never in the lock: for those
packages, and only for those, the version is checked and the hash is not.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
_WHEEL = re.compile(r"^([A-Za-z0-9_.]+)-([^-]+)-.*\.whl$")
# The packages that uv takes from PyTorch's own index when it is given a backend (uv's PyTorch guide).
_TORCH = re.compile(r"torch|torch-.*|torch(ao|audio|data|text|vision|codec|tune|rec)|pytorch-triton.*|triton|xformers")
# torch pins these to its backend, and the lock names those of the default one.
_FOLLOWS_TORCH = re.compile(r"nvidia-.*|cuda-.*|triton|pytorch-triton.*")


@dataclass(frozen=True, slots=True)
class Constraints:
    """The text for uv, the pins by name (one may have several), and the names that hashes don't hold for."""

    text: str
    pins: dict[str, frozenset[str]]
    unverified: tuple[str, ...]

    def find_unpinned(self, packages: dict[str, str]) -> list[str]:
        """Return the names of installed packages whose version the lock does not give."""
        loose = set(self.unverified)
        return [
            name
            for name, version in packages.items()
            if version.partition("+")[0] not in self.pins.get(name, ()) and name not in loose
        ]


def read_constraints(lock: Path, places: list[str], backend: str | None) -> Constraints:
    """Read a lock; leave out hashes that cannot hold, given places with wheels and a torch backend."""
    blocks = _split(lock.read_text(encoding="utf-8-sig"))
    pins: dict[str, set[str]] = {}
    for name, version, _ in blocks:
        pins.setdefault(name, set()).add(version)
    elsewhere = set(local_versions(places))
    if backend is not None or any("://" in place for place in places):
        elsewhere |= {name for name in pins if _TORCH.fullmatch(name)}
    dropped = {name for name in pins if backend is not None and _FOLLOWS_TORCH.fullmatch(name)}
    text = "".join(
        _without_hashes(block) if name in elsewhere else block for name, _, block in blocks if name not in dropped
    )
    unverified = tuple(sorted((elsewhere | dropped) & pins.keys()))
    return Constraints(text, {name: frozenset(versions) for name, versions in pins.items()}, unverified)


def normalise(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _split(text: str) -> list[tuple[str, str, str]]:
    """Cut a lock into (name, version, lines), one for each pin; lines before the first pin are left out."""
    blocks: list[tuple[str, str, str]] = []
    for line in text.splitlines(keepends=True):
        if pin := _PIN.match(line):
            blocks.append((normalise(pin[1]), pin[2], line))
        elif blocks and not line.startswith("#"):
            name, version, block = blocks[-1]
            blocks[-1] = (name, version, block + line)
    return blocks


def _without_hashes(block: str) -> str:
    kept = [line for line in block.splitlines() if not line.strip().startswith("--hash=")]
    return "\n".join(kept).rstrip().removesuffix("\\").rstrip() + "\n"


def local_versions(places: list[str]) -> dict[str, set[str]]:
    """Return the local versions, such as `2.13.0+cpu`, of which folders hold a wheel, by the package's name."""
    folders = [Path(place.removeprefix("file://")) for place in places]
    wheels = [_WHEEL.match(path.name) for folder in folders if folder.is_dir() for path in folder.glob("*.whl")]
    found: dict[str, set[str]] = {}
    for wheel in wheels:
        if wheel and "+" in (version := unquote(wheel[2])):
            found.setdefault(normalise(wheel[1]), set()).add(version)
    return found
