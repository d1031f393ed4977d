"""`--fresh`: put the earlier predictions of some cells aside, once, and back where nothing takes their place."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator.files import disk_errors, write_atomically
from orchestrator.identity import canonical
from orchestrator.results import keysets
from orchestrator.results.expected import iter_keys
from orchestrator.results.layout import fresh_path
from orchestrator.results.plan import Cell
from orchestrator.results.set_aside import put_back, set_aside


class _Mark(NamedTuple):
    """What was begun and is not settled: the digest of its cells, and the file with what was set aside, if any."""

    cells: str
    copy: str | None


def begin(run: Path, model: str, cells: Sequence[Cell]) -> int | None:
    """Set aside what `model` answered to `cells`; return how many predictions, None where that was done before.

    It is done once until `settle` finds all of it asked anew: the same command goes on after an interruption.
    """
    asked = _digest(cells)
    if (mark := _read(run, model)) and mark.cells == asked:
        return None
    keys = (keysets.from_texts(batch) for cell in cells for batch in iter_keys(run, cell))
    rows, copy = set_aside(run, model, keys)
    path = fresh_path(run, model)
    with disk_errors(path):
        path.parent.mkdir(exist_ok=True)
    write_atomically(path, json.dumps([asked, copy.name if copy else None]).encode())
    return rows


def goes_on(run: Path, model: str, cells: Sequence[Cell]) -> bool:
    """Tell whether `begin` would set nothing aside, having done so before."""
    mark = _read(run, model)
    return mark is not None and mark.cells == _digest(cells)


def is_under_way(run: Path, model: str) -> bool:
    """Tell whether `model` is being asked afresh."""
    return fresh_path(run, model).is_file()


def settle(run: Path, model: str, cells: Sequence[Cell], *, is_answered: bool, is_complete: bool) -> int | None:
    """End what `begin` began where all is asked anew, or nothing is; return how many predictions were put back.

    `is_answered` tells whether the model has answered anything anew; where it has not, it failed, and what it answered
    before is worth more. None where nothing was put back.
    """
    mark = _read(run, model)
    if mark is None or mark.cells != _digest(cells) or (is_answered and not is_complete):
        return None
    rows = None if is_answered or mark.copy is None else put_back(run, model, mark.copy)
    with disk_errors(fresh_path(run, model)):
        fresh_path(run, model).unlink()
    return rows


def _read(run: Path, model: str) -> _Mark | None:
    try:
        return _Mark(*json.loads(fresh_path(run, model).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _digest(cells: Sequence[Cell]) -> str:
    return hashlib.sha256(canonical([cell.model_dump(mode="json") for cell in cells]).encode()).hexdigest()
