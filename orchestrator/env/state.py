"""The state file of an environment: written last, so that its presence says the environment is whole."""

from datetime import datetime
from pathlib import Path

from orchestrator.env.interpreter import Interpreter
from orchestrator.errors import BakeoffError
from orchestrator.files import write_atomically
from orchestrator.parsing import Frozen, read_json

STATE_NAME = ".bakeoff-env.json"


class State(Frozen):
    """What was built, of what, and what must still be there; `contents` are the names in site-packages."""

    fingerprint: str
    source: str
    runner: str
    interpreter: Interpreter
    locked: bool
    packages: dict[str, str]
    unverified: tuple[str, ...]
    torch_backend: str | None
    torch_build: str | None = None
    uv: str
    built_at: datetime
    size_bytes: int
    contents: frozenset[str]


def read_state(folder: Path) -> State | None:
    """Return the state of the environment in `folder`, or None where there is none that can be read."""
    try:
        return read_json(folder / STATE_NAME, State)
    except BakeoffError:
        return None


def write_state(folder: Path, state: State) -> None:
    """Write the state file, atomically."""
    write_atomically(folder / STATE_NAME, state.model_dump_json(indent=1).encode())


def list_contents(folder: Path) -> frozenset[str]:
    """Return the names in site-packages; bytecode caches come and go and are left out."""
    return frozenset(
        entry.name for place in _site_packages(folder) for entry in place.iterdir() if entry.name != "__pycache__"
    )


def _site_packages(folder: Path) -> list[Path]:
    return sorted((folder / "lib").glob("*/site-packages"))
