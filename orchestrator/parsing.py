"""Turn TOML and JSON that people write into frozen models, and every defect into one sentence."""

import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import BakeoffError, nearest

Model = TypeVar("Model", bound=BaseModel)


class Frozen(BaseModel):
    """A model that forbids unknown keys and cannot be changed after it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read_toml(path: Path, model: type[Model]) -> Model:
    """Read `path` as `model`; raise BakeoffError naming file, key, what came and what was expected."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise BakeoffError(f"{path}: cannot be read: {_reason(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise BakeoffError(f"{path}: is not valid TOML: {error}") from error
    return parse(data, model, str(path))


def read_json(path: Path, model: type[Model]) -> Model:
    """Read `path` as `model`, as `read_toml` does for TOML."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BakeoffError(f"{path}: cannot be read: {_reason(error)}") from error
    except json.JSONDecodeError as error:
        raise BakeoffError(f"{path}: is not valid JSON: {error}") from error
    return parse(data, model, str(path))


def parse(data: Any, model: type[Model], where: str) -> Model:
    """Check `data` against `model`; raise BakeoffError that starts with `where` and names the first defect."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise BakeoffError(f"{where}: {_first_defect(error, model)}") from error


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8 text"


def _first_defect(error: ValidationError, model: type[BaseModel]) -> str:
    defect = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in defect["loc"]) or "the file"
    if defect["type"] == "extra_forbidden":
        return f"unknown key '{key}'" + nearest(str(defect["loc"][-1]), _known_keys(model, defect["loc"]))
    if defect["type"] == "missing":
        return f"key '{key}' is missing"
    if defect["type"] == "value_error":
        return f"key '{key}': {defect['ctx']['error']}"
    expected = defect["msg"].replace("Input should be", "should be").replace("a valid tuple", "a list")
    return f"key '{key}' {expected}, got {_shown(defect['input'])}"


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Follow `location` down the nested models as far as it goes and list the keys known there."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 - one line of a terminal
