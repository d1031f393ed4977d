"""Run models over a dataset: plan, find what is missing, ask, collect one Parquet file per model."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator import __version__
from orchestrator.config import Model, Workspace
from orchestrator.datasets import Dataset
from orchestrator.env import Env, ensure_env
from orchestrator.errors import BakeoffError, DiskError, UsageError
from orchestrator.identity import canonical, digest_runner
from orchestrator.images import DigestCache
from orchestrator.process import git_commit
from orchestrator.prompt import Prompt
from orchestrator.results.journal import CellColumns, Journal
from orchestrator.results.layout import PLAN_NAME, is_plain_name, journal_folder, spill_folder
from orchestrator.results.plan import Cell, EnvRecord, RunPlan, merge_cells, now, read_plan, write_plan
from orchestrator.results.view import compact
from orchestrator.running.events import Advance, ModelOutcome, Note, Notify
from orchestrator.running.interrupt import Interrupt, catching_interrupts
from orchestrator.running.lock import holding
from orchestrator.running.missing import Missing, find_missing
from orchestrator.running.snapshot import write_prompts, write_samples
from orchestrator.running.supervise import Work, answer_all
from orchestrator.running.worker_spec import make_spec
from orchestrator.session import Session, require_posix


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked for: models x prompts over the first `limit` samples of a dataset, each `repeats` times.

    `overrides` are parameters laid over those of every model.
    """

    models: tuple[Model, ...]
    dataset: Dataset
    prompts: tuple[Prompt, ...]
    overrides: Mapping[str, Any]
    repeats: int = 1
    limit: int | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended; `folder` holds everything it left."""

    folder: Path
    models: tuple[ModelOutcome, ...]
    interrupted: bool = False


def carry_out(workspace: Workspace, order: Order, notify: Notify) -> RunOutcome:
    """Ask every model what it has not answered yet and compact the answers into one Parquet file per model.

    A model that fails does not stop the others. Raises LockedError where another process works on the run, DiskError
    where the disk is full; whatever was answered until then is kept, and the same call goes on from there.
    """
    require_posix()
    name = order.run or order.dataset.name
    if not is_plain_name(name):
        raise UsageError(f"'{name}' cannot name a run: use letters, digits, '.', '_' and '-'; give one with --run")
    run = workspace.results / name
    with holding(run), catching_interrupts(notify) as interrupt:
        plan = _plan(workspace, order, run, notify)
        outcomes = []
        for model in order.models:
            if interrupt.level:
                break
            cells = tuple(cell for cell in plan.asked if cell.model == model.name)
            outcomes.append(_run_model(workspace, model, cells, run, interrupt, notify))
            notify(outcomes[-1])
        return RunOutcome(run, tuple(outcomes), interrupted=interrupt.level > 0)


@dataclass(frozen=True, slots=True)
class _Planned:
    asked: tuple[Cell, ...]


def _plan(workspace: Workspace, order: Order, run: Path, notify: Notify) -> _Planned:
    """Write the snapshot and `run.json`; what the run was asked before stays in it."""
    asked = tuple(_cells(order))
    before = read_plan(run) if (run / PLAN_NAME).is_file() else None
    path = _relative(workspace, order.dataset.path)
    if before and before.dataset_path != path:
        raise UsageError(
            f"run '{run.name}' holds answers to the dataset at {before.dataset_path}, not {path}; name another with --run"
        )
    cells = merge_cells(before.cells if before else (), asked)
    limits = [cell.limit for cell in cells]
    limit = None if None in limits else max(n for n in limits if n is not None)
    with DigestCache(workspace.results / ".images.sqlite") as cache:
        samples = write_samples(run, order.dataset.samples(), limit, cache)
    write_prompts(run, order.prompts)
    write_plan(
        run,
        RunPlan(
            name=run.name,
            created=before.created if before else now(),
            updated=now(),
            bakeoff_version=__version__,
            git_commit=git_commit(workspace.root),
            dataset=order.dataset.name,
            dataset_path=path,
            samples=samples,
            cells=cells,
            envs=before.envs if before else {},
        ),
    )
    return _Planned(asked)


def _cells(order: Order) -> Iterator[Cell]:
    for model in order.models:
        digest = digest_runner(model.runner)
        params = {**model.params, **order.overrides}
        try:
            canonical(params)
        except (TypeError, ValueError) as error:
            raise UsageError(f"model '{model.name}': its parameters are not JSON: {error}") from error
        for prompt in order.prompts:
            yield Cell(
                model=model.name,
                runner=model.runner.name,
                runner_digest=digest,
                params=params,
                overrides=dict(order.overrides),
                prompt=prompt.id,
                prompt_sha256=prompt.sha256,
                limit=order.limit,
                repeats=order.repeats,
            )


def _run_model(
    workspace: Workspace, model: Model, cells: tuple[Cell, ...], run: Path, interrupt: Interrupt, notify: Notify
) -> ModelOutcome:
    """Let one model answer what is missing; its failure is part of the outcome, a full disk is not."""
    start = time.monotonic()
    compact(run, model.name)
    missing = find_missing(run, cells)
    statuses: dict[str, int] = {}
    error = None
    if missing.count:
        try:
            error = _ask(workspace, model, missing, run, statuses, interrupt, notify)
        except DiskError:
            raise
        except BakeoffError as failure:
            error = str(failure)
        compact(run, model.name)
    return ModelOutcome(
        model.name, missing.total, missing.total - missing.count, statuses, time.monotonic() - start, error
    )


def _ask(
    workspace: Workspace,
    model: Model,
    missing: Missing,
    run: Path,
    statuses: dict[str, int],
    interrupt: Interrupt,
    notify: Notify,
) -> str | None:
    columns = [CellColumns(c.model, c.runner, canonical(c.params), c.prompt) for c in missing.cells]
    env = ensure_env(workspace, model.runner, lambda text: notify(Note(text)))
    _record_env(run, model, env)
    params = missing.cells[0].params
    spec = make_spec(workspace, replace(model, params=params), env, run)
    prompts = [read_prompt(run, cell) for cell in missing.cells]
    with Journal(journal_folder(run, model.name), columns) as journal:
        work = Work(missing.tasks(), journal, spill_folder(run), statuses=statuses)
        progress = _progress(model.name, missing, statuses, notify)
        return answer_all(
            work, lambda: Session(spec), tuple(prompt.system for prompt in prompts), interrupt, progress
        )
