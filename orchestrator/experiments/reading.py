"""Read the text of a set, YAML, JSON or TOML, as plain data: tables with texts as keys, lists, texts and numbers."""

import json
import math
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.errors import BakeoffError

BYTES_MAX = 1 << 20  # YAML of a megabyte takes ten seconds to read
VALUES_MAX = 100_000  # aliases of YAML make a few lines as many as they like
_MERGE = "tag:yaml.org,2002:merge"


def read_data(path: Path) -> dict[str, Any]:
    """Return the table that `path` holds; raise BakeoffError where it cannot be read, or says a key twice."""
    try:
        if (size := path.stat().st_size) > BYTES_MAX:
            raise BakeoffError(f"{path}: is too large for an experiment set: {size / 1e6:,.1f} MB, at most 1 MB")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BakeoffError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise BakeoffError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        data = READERS[path.suffix.lower()](text)
        _check(data, "")
    except RecursionError as error:
        raise BakeoffError(f"{path}: its lists or tables are nested too deeply") from error
    except ValueError as error:
        raise BakeoffError(f"{path}: {error}") from error
    if not isinstance(data, dict):
        what = "is empty; it" if data is None else "is no table; it"
        raise BakeoffError(f"{path}: {what} should have keys such as name, common and grid; see docs/experiments.md")
    return data


def _check(value: Any, where: str) -> None:
    """Raise ValueError for what is no JSON: keys that are no texts, dates, and numbers that are none."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{where or 'the file'}: the key {key!r} is not text; put it in quotes")  # noqa: TRY004
            _check(inner, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check(inner, f"{where}[{number}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}: should be a number, got {value}")
    elif value is not None and not isinstance(value, str | int | float):
        raise ValueError(f"{where}: {value} is a {type(value).__name__}; put it in quotes to have a text")


def _read_yaml(text: str) -> Any:
    import yaml  # noqa: PLC0415 - 20 ms, for who has a set

    class Loader(yaml.SafeLoader):
        """Refuses a key that is there twice, of which YAML takes the last; numbers are those of YAML 1.2.

        By 1.1 a plain 1:30 is 90, 010 is 8, 1e-3 a text and 2026-01-01 a date.
        """

        yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in all_of if tag.rpartition(":")[2] in {"bool", "null", "merge"}]
            for first, all_of in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
            twice = next((key for key in keys if keys.count(key) > 1), None)
            if twice is not None:
                raise ValueError(f"says '{twice}' twice (line {node.start_mark.line + 1}); leave one of them out")
            return super().construct_mapping(node, deep)

    for name, pattern, read, firsts in _NUMBERS:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(pattern), list(firsts))
        Loader.add_constructor(f"tag:yaml.org,2002:{name}", _constructor(read))
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        _refuse_swollen(node)
        return None if node is None else loader.construct_document(node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ValueError(f"is not valid YAML: a character U+{ord(text[error.position]):04X} in line {line}") from error
    except yaml.YAMLError as error:
        reason = getattr(error, "problem", None) or "it cannot be read"
        mark = getattr(error, "problem_mark", None)
        advice = "; indent with spaces" if "'\\t'" in reason else ""
        raise ValueError(f"is not valid YAML: {reason}{f' in line {mark.line + 1}' if mark else ''}{advice}") from error


def _constructor(read: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    return lambda _, node: read(node.value)


def _read_int(text: str) -> int:
    return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)


_NUMBERS: tuple[tuple[str, str, Callable[[str], Any], str], ...] = (
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", _read_int, "-+0123456789"),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
        "-+0123456789.",
    ),
)


def _refuse_swollen(root: Any) -> None:
    """Raise ValueError where a tree of YAML nodes is endless or immense once its aliases are written out."""
    sizes: dict[int, int | None] = {}

    def count(node: Any) -> int:
        known = sizes.get(id(node), 0)
        if known is None:
            raise ValueError(f"line {node.start_mark.line + 1}: refers to itself by an alias")
        if known:
            return known
        sizes[id(node)] = None
        inner = node.value if isinstance(node.value, list) else ()
        size = 1 + sum(sum(map(count, each)) if isinstance(each, tuple) else count(each) for each in inner)
        if size > VALUES_MAX:
            raise ValueError(f"line {node.start_mark.line + 1}: makes more than {VALUES_MAX:,} values by its aliases")
        sizes[id(node)] = size
        return size

    if root is not None:
        count(root)


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


READERS: dict[str, Callable[[str], Any]] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
    ".toml": _read_toml,
}
