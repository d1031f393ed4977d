"""The workspace: where it is, its settings, and the models that it knows."""

import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from orchestrator.errors import UsageError, nearest
from orchestrator.manifest import Discovery, Hints, Runner, discover, is_runner_name, read_runner, split_hints
from orchestrator.names import find_bad_name
from orchestrator.parsing import Frozen, read_toml
from orchestrator.redaction import looks_like_key, redact_patterns

CONFIG_NAME = "bakeoff.toml"
_PACKAGE = Path(__file__).resolve().parent
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[-. ]")
_SECRET = re.compile(
    r"(.*_)?((api|access|secret|private|subscription)_?keys?|secrets?|passwords?|passwd|passphrase|auth|authorization"
    r"|cookies?)"
)
# Of tokens those alone that by their name open a door: prefix_token = "Question: " is a word for the model.
_SECRET_TOKEN = re.compile(
    r"(.*_)?(api|access|auth|oauth|bearer|refresh|id|session|secret|security|private|personal"
    r"|hf|hub|huggingface|openai|github|gitlab)_?token|token"
)
_SECRET_URL = re.compile(r"://[^\s/@:]*:[^\s/@]+@")
_QUERY = re.compile(r"[?&]([^=&#\s]+)=[^&#\s]")  # of an address
_SECRET_QUERY = re.compile(r"(.*_)?(key|sig|signature|sas)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_CHARACTERS = 8
_DEFECTS_TOLD = 3
BUILTIN = _PACKAGE / "builtin" if (_PACKAGE / "builtin").is_dir() else _PACKAGE.parent


def _expand(path: str) -> str:
    return os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises for an unknown user


class Settings(Frozen):
    """The keys of `[settings]` in `bakeoff.toml`."""

    launcher: tuple[str, ...] = ()
    torch_backend: str | None = None
    find_links: tuple[str, ...] = ()
    item_timeout_s: float = Field(default=120, gt=0)
    load_timeout_s: float = Field(default=1800, gt=0)
    disk_floor_mb: float = Field(default=200, ge=0)
    cores: int | None = Field(default=None, ge=1)
    devices: tuple[str, ...] | None = None
    image_folders: tuple[str, ...] = ()

    @field_validator("image_folders")
    @classmethod
    def _are_paths(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        for folder in folders:
            if not folder.strip():
                raise ValueError('an empty text is no folder; for all of the workspace write "."')
            if "\0" in folder:
                raise ValueError(f"{folder!r} holds a NUL, which no path does")
            if _expand(folder).startswith("~"):
                raise ValueError(f"'{folder}' begins with no user's home; for a folder of this name write './{folder}'")
        return folders


class Config(Frozen):
    """The keys of `bakeoff.toml`."""

    settings: Settings = Settings()
    models: dict[str, dict[str, Any]] = {}

    @field_validator("models")
    @classmethod
    def _name_their_runner(cls, models: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if problem := find_bad_name(list(models)):
            raise ValueError(problem)
        for name, table in models.items():
            if not isinstance(table.get("runner"), str):
                raise ValueError(f"model '{name}' must say which runner it is of: runner = \"…\"")  # noqa: TRY004
            split_hints(table)
        return models


@dataclass(frozen=True, slots=True)
class Model:
    """A named configuration of a runner; `params` are the runner's defaults overlaid by the model's own."""

    name: str
    runner: Runner
    params: dict[str, Any]
    own_hints: dict[str, Any] = field(default_factory=dict)

    @property
    def hints(self) -> Hints:
        """What a worker of it keeps busy: what the model says itself, else its runner."""
        return self.runner.hints(self.own_hints)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with a `bakeoff.toml`, its settings and its runners (its own first, then the built-in ones)."""

    root: Path
    settings: Settings
    own_models: dict[str, dict[str, Any]]
    discovery: Discovery

    @property
    def envs(self) -> Path:
        """Where environments are built."""
        return self.root / "envs"

    @property
    def results(self) -> Path:
        """Where runs are kept."""
        return self.root / "results"

    @property
    def image_folders(self) -> tuple[Path, ...]:
        """Where a dataset's images may lie besides its own folder."""
        return tuple(self.root / _expand(folder) for folder in self.settings.image_folders)


def find_workspace(start: Path | None = None) -> Workspace:
    """Open the nearest folder at or above `start` (default: here) that holds a `bakeoff.toml`.

    Raises UsageError where there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / CONFIG_NAME).is_file():
            return open_workspace(folder)
    raise UsageError(f"{here}: no {CONFIG_NAME} here or above; run `bakeoff init` or give --workspace")


def open_workspace(root: Path) -> Workspace:
    """Open the workspace at `root`; raise BakeoffError for a defect in its `bakeoff.toml`."""
    if not (root / CONFIG_NAME).is_file():
        raise UsageError(f"{root}: is not a workspace, it has no {CONFIG_NAME}; run `bakeoff init {root}`")
    config = read_toml(root / CONFIG_NAME, Config)
    roots = dict.fromkeys(((root / "runners").resolve(), (BUILTIN / "runners").resolve()))
    return Workspace(root.resolve(), config.settings, config.models, discover(tuple(roots)))


def list_models(workspace: Workspace) -> dict[str, Model]:
    """Return every usable model by name: those of the manifests, then those of `bakeoff.toml`, which win.

    A runner without a `[models.…]` table is itself a model of the same name.
    """
    models: dict[str, Model] = {}
    for runner in workspace.discovery.runners.values():
        tables = runner.manifest.models or {runner.name: {}}
        for name, table in tables.items():
            models[name] = _make_model(name, runner, table)
    for name, table in workspace.own_models.items():
        own = workspace.discovery.runners.get(table["runner"])
        if own is not None:
            models[name] = _make_model(name, own, {k: v for k, v in table.items() if k != "runner"})
    return models


def _make_model(name: str, runner: Runner, table: Mapping[str, Any]) -> Model:
    hints, params = split_hints(table)
    return Model(name, runner, {**runner.manifest.defaults, **params}, hints)


def get_model(workspace: Workspace, name: str) -> Model:
    """Return the model called `name`.

    Raises UsageError with the nearest name, or with the runner's defect, or where a parameter holds a secret.
    """
    models = list_models(workspace)
    if name in models:
        refuse_secrets(models[name].params, f"model {name}")
        return models[name]
    if name in workspace.discovery.defects:
        raise UsageError(f"model '{name}' cannot be used: {workspace.discovery.defects[name]}")
    if name in workspace.own_models:
        runner = workspace.own_models[name]["runner"]
        known = workspace.discovery.runners
        reason = workspace.discovery.defects.get(runner, f"there is no runner '{runner}'{nearest(runner, known)}")
        raise UsageError(f"{workspace.root / CONFIG_NAME}: model '{name}': {reason}")
    if own := [model.name for model in models.values() if model.runner.name == name]:
        raise UsageError(f"'{name}' is a runner; its models are {', '.join(own)}")
    unusable = tell_defects(workspace)
    raise UsageError(f"there is no model '{name}'{nearest(name, models)} (`bakeoff list models` shows all){unusable}")


def tell_defects(workspace: Workspace) -> str:
    """Return why runners cannot be used, whose models nobody knows, as the end of a sentence; empty where all can."""
    defects = list(workspace.discovery.defects.items())
    told = [f"; runner {name} cannot be used: {defect}" for name, defect in defects[:_DEFECTS_TOLD]]
    left = len(defects) - len(told)
    return "".join(told) + (f"; nor can {left} others, see `bakeoff list runners`" if left else "")


def refuse_gaps(model: Model, params: Mapping[str, Any]) -> None:
    """Raise UsageError for a parameter that the model's runner requires and that nobody has set; empty is not set."""
    for name in model.runner.manifest.required:
        if params.get(name) in (None, ""):
            remedy = f"say --param {name}=…, or give it to a model of your own in {CONFIG_NAME}"
            raise UsageError(f"model '{model.name}' needs a {name}: {remedy}")


def refuse_secrets(params: Mapping[str, Any], where: str) -> None:
    """Raise UsageError, beginning with `where`, for a parameter that by its name and length is a secret.

    Parameters are written to `run.json`, to every row and into reports; nested ones too, and keys in addresses. One
    whose name ends in `_env` has to name a variable.
    """
    for path, name, value in _leaves(params):
        if _plain(name).endswith("_env"):
            _refuse_pasted(path, value, where)
            continue
        if not _is_secret(name, value):
            continue
        # Variables are passed on by parameters at the top alone; what is nested or an address mostly means a key.
        remedy = "api_key" if "." in path or "://" in value else _plain(path)
        raise UsageError(
            f"{where}: '{path}' would land in every result; put the secret into an environment variable or the "
            f'workspace\'s .env, and name the variable with `{remedy}_env = "…"`'
        )


def _refuse_pasted(path: str, value: str, where: str) -> None:
    """Raise UsageError, without showing it, where the key itself stands in place of its variable's name."""
    is_name = "." in path or not value or _VARIABLE.fullmatch(value)
    if not is_name or looks_like_key(value):
        raise UsageError(
            f"{where}: '{path}' is no variable's name: name the variable, such as `{path} = \"MY_API_KEY\"`, not the "
            "key; that goes into the variable, or into the workspace's .env as `MY_API_KEY=…`"
        )


def _leaves(params: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the path, the name and the text of every text and number, however nested; a list's have its name."""
    left: deque[tuple[str, str, Any]] = deque((str(name), str(name), value) for name, value in params.items())
    while left:
        path, name, value = left.popleft()
        if isinstance(value, Mapping):
            left += [(f"{path}.{key}", str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            left += [(f"{path}.{n}", name, inner) for n, inner in enumerate(value)]
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield path, name, str(value)


def _plain(name: str) -> str:
    return _HUMP.sub("_", name).casefold()


def _is_secret(name: str, value: str) -> bool:
    plain = _plain(name)
    if _SECRET_URL.search(value) or redact_patterns(value) != value:
        return True
    if "://" in value and any(map(_is_secret_field, _QUERY.findall(value))):
        return True
    if len(value) < _SECRET_CHARACTERS or (plain.endswith("auth") and _is_word(value)):
        return False
    if _SECRET_TOKEN.fullmatch(plain):
        return value[0] not in "<["  # a word of the model's vocabulary, such as id_token = "<|id|>"
    return _SECRET.fullmatch(plain) is not None


def _is_secret_field(name: str) -> bool:
    """Tell whether a field of an address holds a secret, which is one however short."""
    plain = _plain(name)
    return any(pattern.fullmatch(plain) for pattern in (_SECRET, _SECRET_TOKEN, _SECRET_QUERY))


def _is_word(value: str) -> bool:
    return value.replace("_", "").isalpha() and value.islower()  # a way to prove who one is: auth = "managed_identity"


def get_runner(workspace: Workspace, name: str) -> Runner:
    """Return the runner called `name`, or the metric of this name that has a folder like a runner's.

    Raises UsageError with its defect or the nearest name.
    """
    runners = workspace.discovery.runners
    if name in runners:
        return runners[name]
    if is_runner_name(name) and (workspace.root / "metrics" / name).is_dir():
        return read_runner(workspace.root / "metrics" / name)
    if name in workspace.discovery.defects:
        raise UsageError(workspace.discovery.defects[name])
    unusable = tell_defects(workspace)
    raise UsageError(
        f"there is no runner '{name}'{nearest(name, runners)} (`bakeoff list runners` shows all){unusable}"
    )


def resource_path(workspace: Workspace, kind: str, given: str) -> Path | None:
    """Resolve `given` as an existing path, else as a name below `<workspace>/<kind>`; None where neither exists.

    A name may leave out a file's suffix.
    """
    as_path = Path(_expand(given))
    if as_path.exists() and (as_path.is_absolute() or "/" in given or given[:1] in ".~" or as_path.suffix):
        return as_path.resolve()
    folder = workspace.root / kind
    if (folder / given).exists():
        return (folder / given).resolve()
    found = sorted(folder.glob(f"{given}.*")) if "/" not in given and folder.is_dir() else []
    if found:
        return found[0].resolve()
    return as_path.resolve() if as_path.exists() else None
