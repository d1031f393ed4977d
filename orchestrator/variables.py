"""Variables for workers: from our environment, else from the workspace's `.env` file, which is never committed."""

import os
from collections.abc import Iterable
from pathlib import Path

from dotenv import dotenv_values

from orchestrator.errors import BakeoffError

ENV_NAME = ".env"


def read_variables(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Return those of `names` that are set, by our environment first, then by the `.env` file in `root`.

    In that file nothing is expanded: a `$` in a key stays. Raises BakeoffError where it cannot be read.
    """
    wanted = dict.fromkeys(names)
    try:
        kept = dotenv_values(root / ENV_NAME, interpolate=False) if (root / ENV_NAME).is_file() else {}
    except (OSError, ValueError) as error:
        raise BakeoffError(f"{root / ENV_NAME}: cannot be read: {error}") from error
    found = {name: os.environ.get(name, kept.get(name)) for name in wanted}
    return {name: value for name, value in found.items() if value is not None}
