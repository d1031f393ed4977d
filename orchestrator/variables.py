"""Variables for workers: from our environment, else from the workspace's `.env` file, which is never committed."""

import os
from collections.abc import Iterable
from pathlib import Path

from dotenv.parser import parse_stream

from orchestrator.errors import BakeoffError
from orchestrator.redaction import looks_like_key

ENV_NAME = ".env"


def read_variables(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Return those of `names` that are set, by our environment first, then by the `.env` file in `root`.

    An empty one of our environment hides none of the file. In that file nothing is expanded: a `$` in a key stays.
    Raises BakeoffError where a line of it is none of a `.env`.
    """
    wanted = dict.fromkeys(names)
    kept = _read_file(root / ENV_NAME) if wanted and (root / ENV_NAME).is_file() else {}
    found = {name: os.environ.get(name) or kept.get(name, os.environ.get(name)) for name in wanted}
    return {name: value for name, value in found.items() if value is not None}


def _read_file(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(parse_stream(file))
    except (OSError, ValueError) as error:
        raise BakeoffError(f"{path}: cannot be read: {error}") from error
    for line in lines:
        if line.error:
            raise BakeoffError(f"{path}: line {line.original.line} is not NAME=value; mend or delete it")
        if line.key and line.value is None and (looks_like_key(line.key) or not line.key.isidentifier()):
            example = "write NAME=value, such as OPENAI_API_KEY=…"
            raise BakeoffError(f"{path}: line {line.original.line} has no name for its value; {example}")
    return {line.key: line.value for line in lines if line.key and line.value is not None}
