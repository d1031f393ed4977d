"""The files of experiment sets: YAML, JSON and TOML, found by name or path and read as plain data."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.config import Workspace, resource_path
from orchestrator.errors import BakeoffError, UsageError, nearest

FOLDER = "experiments"


def find_set(workspace: Workspace, given: str) -> Path:
    """Return the file of the set `given`, a path or a name below `experiments/`; raise UsageError where it is none."""
    path = resource_path(workspace, FOLDER, given)
    if path is None or not path.is_file():
        known = nearest(given, list_sets(workspace))
        raise UsageError(f"there is no experiment set '{given}'{known} (a set is a file below {FOLDER}/, or a path)")
    if path.suffix.lower() not in _READERS:
        raise UsageError(f"{path}: is not an experiment set; a set ends in {', '.join(_READERS)}")
    return path


def list_sets(workspace: Workspace) -> dict[str, Path]:
    """Return the files below `experiments/` by name, their paths without suffix."""
    folder = workspace.root / FOLDER
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _READERS and p.name[0] not in "._")
    return {p.relative_to(folder).with_suffix("").as_posix(): p for p in paths if p.is_file()}


def read_data(path: Path) -> dict[str, Any]:
    """Return the table that `path` holds; raise BakeoffError where it cannot be read, or says a key twice."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BakeoffError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise BakeoffError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        data = _READERS[path.suffix.lower()](text)
    except (ValueError, RecursionError) as error:
        raise BakeoffError(f"{path}: {error}") from error
    if not isinstance(data, dict):
        raise BakeoffError(f"{path}: should be a table of keys such as name, common and grid; see docs/experiments.md")
    return data


def _read_yaml(text: str) -> Any:
    import yaml  # noqa: PLC0415 - 20 ms, for who has a set

    class Loader(yaml.SafeLoader):
        """Refuses a key that is there twice, of which YAML takes the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
            twice = next((key for key in keys if keys.count(key) > 1), None)
            if twice is not None:
                raise ValueError(f"says '{twice}' twice (line {node.start_mark.line + 1}); leave one of them out")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        reason = getattr(error, "problem", None) or "it cannot be read"
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"is not valid YAML: {reason}{f' in line {mark.line + 1}' if mark else ''}") from error


_MERGE = "tag:yaml.org,2002:merge"


def _read_json(text: str) -> Any:
    def pairs(given: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in given]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"says '{twice}' twice; leave one of them out")
        return dict(given)

    try:
        return json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON: {error}") from error


def _read_toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is not valid TOML: {error}") from error


_READERS: dict[str, Callable[[str], Any]] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
    ".toml": _read_toml,
}
