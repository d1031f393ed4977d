"""Runners: find their folders and read their manifests."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from orchestrator.errors import BakeoffError
from orchestrator.names import find_bad_name
from orchestrator.parsing import Frozen, read_toml

MANIFEST_NAME = "runner.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Need(Frozen):
    """Something outside the environment that a runner needs: a program on PATH, or a file at one of some paths.

    Paths may hold `*`, `~` and `$VARIABLES`. `remedy` says how to get it.
    """

    what: str
    program: str | None = None
    any_path: tuple[str, ...] = ()
    remedy: str


class MetricTable(Frozen):
    """The keys of `[metric]` in the `runner.toml` of a metric that runs in an environment of its own."""

    unit: str = "fraction"
    direction: Literal["higher", "lower"] = "higher"
    needs_reference: bool = True


class Hints(Frozen):
    """What one worker of a model keeps busy, so that models may run side by side.

    `cores` of the processor (0: next to none, as of an API's client; None: all, unless it has a device), `devices` such
    as GPUs where its runner asks for an accelerator, and `memory_gb`, of each device or else of the machine.
    """

    cores: int | None = Field(default=None, ge=0)
    devices: int = Field(default=1, ge=1)
    memory_gb: float | None = Field(default=None, gt=0)


def split_hints(table: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what of a model's table is a hint, and what are parameters; raise ValueError for a hint that is wrong."""
    hints = {name: value for name, value in table.items() if name in Hints.model_fields}
    try:
        Hints.model_validate(hints)
    except ValidationError as error:
        defect = error.errors(include_url=False)[0]
        expected = defect["msg"].replace("Input should be", "should be")
        raise ValueError(f"{defect['loc'][0]} {expected}, got {defect['input']!r}") from None
    return hints, {name: value for name, value in table.items() if name not in hints}


class Manifest(Hints):
    """The keys of `runner.toml`.

    A runner that `ignores_prompt`, such as an OCR engine, is asked once about an image. Parameters named in
    `not_in_key` change how it is asked and not what: another value of them asks nothing again. Those in
    `required` have to be told before anything is built. Those in `required_env` name a variable that has to be set
    before, unless they are empty. `metric` is for folders below a workspace's `metrics` alone.
    """

    description: str = ""
    python: str = "3.11"
    env: tuple[str, ...] = ()
    accelerator: Literal["none", "cuda"] = "none"
    path: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    batch_max: int = Field(default=1, ge=1)
    concurrency: int = Field(default=1, ge=1)
    messages: bool = False
    ignores_prompt: bool = False
    not_in_key: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    required_env: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    item_timeout_s: float | None = Field(default=None, gt=0)
    load_timeout_s: float | None = Field(default=None, gt=0)
    defaults: dict[str, Any] = {}
    models: dict[str, dict[str, Any]] = {}
    metric: MetricTable = MetricTable()

    @field_validator("models")
    @classmethod
    def _can_be_files(cls, models: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if problem := find_bad_name(list(models)):
            raise ValueError(problem)
        for table in models.values():
            split_hints(table)
        return models

    @field_validator("python", mode="before")
    @classmethod
    def _is_quoted(cls, value: object) -> object:
        if isinstance(value, float):
            raise ValueError(f'write the version in quotes ("{value}"), or 3.10 becomes 3.1')  # noqa: TRY004
        return value


@dataclass(frozen=True, slots=True)
class Runner:
    """A folder that can run models."""

    name: str
    folder: Path
    manifest: Manifest

    @property
    def requirements(self) -> Path:
        """The file that a person edits."""
        return self.folder / "requirements.txt"

    @property
    def lock(self) -> Path:
        """The compiled file, which may be absent."""
        return self.folder / "requirements.lock"

    def hints(self, own: Mapping[str, Any]) -> Hints:
        """Return the hints of a model of this runner: those that are its `own` go before the manifest's."""
        general = {name: getattr(self.manifest, name) for name in Hints.model_fields}
        return Hints.model_validate({**general, **own})

    @property
    def helper_folders(self) -> tuple[Path, ...]:
        """Folders of shared helper modules, absolute, in the manifest's order."""
        return tuple((self.folder / p).resolve() for p in self.manifest.path)


@dataclass(frozen=True, slots=True)
class Discovery:
    """Every runner found, by name, and one sentence for each folder that is not one."""

    runners: dict[str, Runner]
    defects: dict[str, str]


def discover(roots: tuple[Path, ...]) -> Discovery:
    """Look through `roots` in order; a runner found in an earlier one hides its namesake in a later one.

    Folders whose names start with `_` or `.` are helpers and are passed over.
    """
    runners: dict[str, Runner] = {}
    defects: dict[str, str] = {}
    for root in roots:
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            name = folder.name
            if not folder.is_dir() or name[0] in "._" or name in runners or name in defects:
                continue
            try:
                runners[name] = read_runner(folder)
            except BakeoffError as error:
                defects[name] = str(error)
    return Discovery(runners, defects)


def is_runner_name(name: str) -> bool:
    """Tell whether a runner's folder may have this name."""
    return _NAME.fullmatch(name) is not None


def read_runner(folder: Path) -> Runner:
    """Read one runner folder; raise BakeoffError naming the first thing that is missing or wrong."""
    if not is_runner_name(folder.name):
        raise BakeoffError(f"{folder}: a runner's name is made of Latin letters, digits, '_' and '-'")
    if not (folder / MANIFEST_NAME).is_file():
        raise BakeoffError(f"{folder}: has no {MANIFEST_NAME}; write one, or start the folder's name with '_'")
    manifest = read_toml(folder / MANIFEST_NAME, Manifest)
    runner = Runner(folder.name, folder.resolve(), manifest)
    if not runner.requirements.is_file():
        raise BakeoffError(f"{folder}: has no requirements.txt; add one, it may be empty")
    if not manifest.command and not (folder / "runner.py").is_file():
        raise BakeoffError(f"{folder}: has no runner.py, and {MANIFEST_NAME} names no command")
    for given, helper in zip(manifest.path, runner.helper_folders, strict=True):
        if not helper.is_dir():
            raise BakeoffError(f"{folder / MANIFEST_NAME}: path: there is no folder '{given}'")
    return runner
