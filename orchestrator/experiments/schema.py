"""The keys of an experiment set, in the file and in each of its parts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from orchestrator.errors import BakeoffError, nearest
from orchestrator.experiments.merging import merge_deep, nest
from orchestrator.parsing import Frozen, parse

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_REPEATS_MAX = 10_000


class ModelTable(Frozen):
    """A model with parameters of its own in this set."""

    name: str
    params: dict[str, Any] = {}


class Fragment(Frozen):
    """The keys of `common`, of an entry of `experiments`, and by their paths of `grid`: parts of a cell."""

    name: str | None = None
    model: str | dict[str, Any] | None = None
    dataset: str | None = None
    prompt: str | None = None
    prompts: str | tuple[str, ...] | None = None
    metrics: tuple[str, ...] | None = None
    params: dict[str, Any] = {}
    limit: int | None = Field(default=None, ge=1, strict=True)
    repeat: int | None = Field(default=None, ge=1, le=_REPEATS_MAX, strict=True)
    run: str | None = Field(default=None, min_length=1)
    seed: int | None = Field(default=None, ge=0, strict=True)


class SetFile(Frozen):
    """The keys of a file; `readme` and `description` are for people."""

    name: str | None = None
    readme: str = ""
    description: str = ""
    common: dict[str, Any] = {}
    grid: dict[str, Any] = {}
    experiments: tuple[dict[str, Any], ...] = ()
    exclude: tuple[dict[str, Any], ...] = ()
    merge: Literal["deep", "shallow"] = "deep"
    repeat: int = Field(default=1, ge=1, le=_REPEATS_MAX, strict=True)
    seed: int | None = Field(default=None, ge=0, strict=True)
    run: str | None = Field(default=None, min_length=1)
    max_cost: float | None = Field(default=None, gt=0, strict=True)
    max_time: float | None = None

    @field_validator("max_time", mode="before")
    @classmethod
    def _read_time(cls, given: object) -> float | None:
        return None if given is None else read_seconds(given)


class Cv(Frozen):
    """EvalAP's `cv`."""

    common_params: dict[str, Any] = {}
    grid_params: dict[str, list[Any]]
    repeat: int = Field(default=1, ge=1, le=_REPEATS_MAX)


class EvalapFile(Frozen):
    """EvalAP's ExperimentSetCreate, and the limits that we add; the name is its file's where it says none."""

    name: str | None = None
    readme: str = ""
    cv: Cv | None = None
    experiments: tuple[dict[str, Any], ...] | None = None
    run: str | None = Field(default=None, min_length=1)
    max_cost: float | None = Field(default=None, gt=0, strict=True)
    max_time: float | None = None

    @field_validator("max_time", mode="before")
    @classmethod
    def _read_time(cls, given: object) -> float | None:
        return None if given is None else read_seconds(given)


def read_seconds(given: object) -> float:
    """Return a time such as `90`, `"90s"`, `"2h"` or `"1h 30m"` in seconds; raise ValueError where it is none."""
    if isinstance(given, int | float) and not isinstance(given, bool) and given > 0:
        return float(given)
    text = given.strip().lower() if isinstance(given, str) else ""
    parts = _PART.findall(text)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if _PART.sub("", text).strip() or not seconds:
        raise ValueError(f"should be a time such as 90s, 45m or 1h30m, got {given!r}")
    return seconds


def _check_types(data: Mapping[str, Any], where: str) -> None:
    """Raise BakeoffError where a key of several types has none of them."""
    model, prompts = data.get("model"), data.get("prompts")
    if not isinstance(model, str | dict | None):
        raise BakeoffError(f"{where}: model should be a name, or {{name: …, params: {{…}}}}, got {model!r}")
    listed = [prompts] if isinstance(prompts, str) else prompts
    if listed is not None and not (isinstance(listed, list) and listed and all(isinstance(p, str) for p in listed)):
        raise BakeoffError(f"{where}: prompts should be a list of names, got {prompts!r}")


def check_fragment(data: Mapping[str, Any], path: Path, where: str) -> None:
    """Raise BakeoffError naming file and key where `data` is no part of a cell."""
    for key in data:
        if key not in Fragment.model_fields:
            hint = nearest(key, Fragment.model_fields)
            hint = hint if "did you mean" in hint else f"; a parameter of models is params.{key}"
            raise BakeoffError(f"{path}: {where}: unknown key '{key}'{hint}")
    for key in ("model", "dataset", "prompt"):
        if isinstance(data.get(key), list):
            more = ", or say prompts" if key == "prompt" else ""
            raise BakeoffError(f"{path}: {where}: {key} is a list; put it into the grid, which varies it{more}")
    _check_types(data, f"{path}: {where}")
    parse(data, Fragment, f"{path}: {where}")
    if data.get("prompt") is not None and data.get("prompts") is not None:
        raise BakeoffError(f"{path}: {where}: says both prompt and prompts; say one of them")
    model = data.get("model")
    if isinstance(model, dict):
        parse({"name": "", **model}, ModelTable, f"{path}: {where}.model")


def read_fragment(data: Mapping[str, Any], path: Path, where: str) -> dict[str, Any]:
    """Return `data` with a key such as `params.size` as the table that it means; raise as `check_fragment`."""
    read: dict[str, Any] = {}
    for key, value in data.items():
        if not all(key.split(".")):
            raise BakeoffError(f"{path}: {where}: '{key}' is no key: a part of it is empty")
        read = merge_deep(read, nest(key, value))
    check_fragment(read, path, where)
    return read
