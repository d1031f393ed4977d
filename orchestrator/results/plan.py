"""`run.json`: what a run was asked to do, with what code, and in which environments."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from orchestrator.errors import BakeoffError
from orchestrator.files import write_atomically
from orchestrator.identity import canonical
from orchestrator.parsing import Frozen, read_json
from orchestrator.results.layout import PLAN_NAME
from orchestrator.results.schema import SCHEMA_VERSION

IMPORTED = "imported"  # the runner of cells whose answers came from another program


class Cell(Frozen):
    """One experiment: a model with its parameters and a prompt, over the first `limit` samples (None: all).

    `overrides` are the parameters given for this run; `params` all that the runner got. `runner_digest` covers the
    runner's code and lock. A cell is named by (model, overrides, prompt) and replaced when asked again. Parameters
    named in `not_in_key` leave the keys of its answers as they are.
    """

    model: str
    runner: str
    runner_digest: str
    params: dict[str, Any]
    overrides: dict[str, Any]
    prompt: str
    prompt_sha256: str
    ignores_prompt: bool = False
    not_in_key: tuple[str, ...] = ()
    limit: int | None = None
    repeats: int = 1

    @property
    def key_params(self) -> dict[str, Any]:
        """The parameters that make a difference to answers."""
        return {name: value for name, value in self.params.items() if name not in self.not_in_key}

    @property
    def name(self) -> tuple[str, str, str]:
        """What tells this cell from its siblings: model, overrides as canonical JSON, prompt."""
        return self.model, canonical(self.overrides), self.prompt


class EnvRecord(Frozen):
    """The environment that a runner's answers came from."""

    fingerprint: str
    python: str
    locked: bool
    packages: dict[str, str]
    torch_build: str | None = None


class _Version(BaseModel):
    """What every `run.json` has, of whatever version."""

    schema_version: int = 1


class RunPlan(Frozen):
    """The content of `run.json`; `failures` says of models why the last call could not finish their part.

    `name` is that of the run's folder, whatever the file says: a run may have been copied or renamed.
    """

    schema_version: int = SCHEMA_VERSION
    name: str
    created: datetime
    updated: datetime
    bakeoff_version: str
    git_commit: str | None
    dataset: str
    dataset_path: str
    samples: int
    cells: tuple[Cell, ...]
    envs: dict[str, EnvRecord]
    failures: dict[str, str] = {}


def read_plan(run: Path) -> RunPlan:
    """Read the plan of the run directory `run`; raise BakeoffError where there is none or it is newer than us."""
    path = run / PLAN_NAME
    if not path.is_file():
        raise BakeoffError(f"{run}: is not a run, it has no {PLAN_NAME}; `bakeoff list runs` shows the runs")
    version = read_json(path, _Version).schema_version
    if version > SCHEMA_VERSION:
        raise BakeoffError(f"{path}: was written by a newer bakeoff (schema {version}); upgrade to read it")
    return read_json(path, RunPlan).model_copy(update={"name": run.absolute().name})


def write_plan(run: Path, plan: RunPlan) -> None:
    """Replace the plan of the run directory `run` atomically."""
    current = plan.model_copy(update={"schema_version": SCHEMA_VERSION})
    write_atomically(run / PLAN_NAME, (current.model_dump_json(indent=1) + "\n").encode())


def merge_cells(old: tuple[Cell, ...], new: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Return `old` with `new` put in: a cell of the same name and content grows, of other content is replaced."""
    merged = {cell.name: cell for cell in old}
    for cell in new:
        before = merged.get(cell.name)
        merged[cell.name] = _grown(before, cell) if before else cell
    return tuple(merged.values())


def widest(cells: Iterable[Cell], before: RunPlan | None) -> int | None:
    """Return how many samples a run of `cells` has to hold, None for all of its dataset's.

    Never fewer than it held `before`: a cell replaced by a narrower one leaves answers whose samples must stay.
    """
    limits = [cell.limit for cell in cells]
    held = before.samples if before else 0
    return None if None in limits else max([held, *(limit for limit in limits if limit is not None)])


def now() -> datetime:
    """Return the time now, in UTC, as run files record it."""
    return datetime.now(UTC)


def _grown(before: Cell, after: Cell) -> Cell:
    same = before.model_copy(update={"limit": after.limit, "repeats": after.repeats}) == after
    if not same:
        return after
    limits = (before.limit, after.limit)
    limit = None if None in limits else max(n for n in limits if n is not None)
    return after.model_copy(update={"limit": limit, "repeats": max(before.repeats, after.repeats)})
