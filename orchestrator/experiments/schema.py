"""The keys of an experiment set, in the file and in each of its parts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from orchestrator.errors import BakeoffError
from orchestrator.parsing import Frozen, parse

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


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
    limit: int | None = Field(default=None, ge=1)
    repeat: int | None = Field(default=None, ge=1)
    run: str | None = None
    seed: int | None = Field(default=None, ge=0)


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
    repeat: int = Field(default=1, ge=1)
    seed: int | None = Field(default=None, ge=0)
    run: str | None = None
    max_cost: float | None = Field(default=None, gt=0)
    max_time: float | None = None

    @field_validator("max_time", mode="before")
    @classmethod
    def _read_time(cls, given: object) -> float | None:
        return None if given is None else read_seconds(given)


class Cv(Frozen):
    """EvalAP's `cv`."""

    common_params: dict[str, Any] = {}
    grid_params: dict[str, list[Any]]
    repeat: int = Field(default=1, ge=1)


class EvalapFile(Frozen):
    """EvalAP's ExperimentSetCreate, and the limits that we add; the name is its file's where it says none."""

    name: str | None = None
    readme: str = ""
    cv: Cv | None = None
    experiments: tuple[dict[str, Any], ...] | None = None
    run: str | None = None
    max_cost: float | None = Field(default=None, gt=0)
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


def check_fragment(data: Mapping[str, Any], path: Path, where: str) -> None:
    """Raise BakeoffError naming file and key where `data` is no part of a cell."""
    parse(data, Fragment, f"{path}: {where}")
    if data.get("prompt") is not None and data.get("prompts") is not None:
        raise BakeoffError(f"{path}: {where}: says both prompt and prompts; say one of them")
    model = data.get("model")
    if isinstance(model, dict):
        parse({"name": "", **model}, ModelTable, f"{path}: {where}.model")
