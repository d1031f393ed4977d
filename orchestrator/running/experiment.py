"""Run models over a dataset: find what is missing, ask for it, collect one Parquet file per model."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.config import Model, Workspace
from orchestrator.env import ensure_env, use_env
from orchestrator.errors import BakeoffError, DiskError
from orchestrator.identity import canonical
from orchestrator.results.expected import read_prompt
from orchestrator.results.journal import CellColumns, Journal
from orchestrator.results.layout import journal_folder, spill_folder
from orchestrator.results.plan import Cell
from orchestrator.results.view import compact
from orchestrator.running.events import Advance, ModelOutcome, Note, Notify
from orchestrator.running.interrupt import Interrupt, catching_interrupts
from orchestrator.running.lock import holding
from orchestrator.running.missing import Missing, find_missing
from orchestrator.running.planning import Order, record_env, run_folder, write_down
from orchestrator.running.supervise import Work, answer_all
from orchestrator.running.worker_spec import make_spec
from orchestrator.session import Session, require_posix

_NOTIFY_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended; `folder` holds everything it left."""

    folder: Path
    models: tuple[ModelOutcome, ...]
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class _Kitchen:
    """What the parts of one call share."""

    workspace: Workspace
    run: Path
    interrupt: Interrupt
    notify: Notify


def carry_out(workspace: Workspace, order: Order, notify: Notify) -> RunOutcome:
    """Ask every model what it has not answered yet and compact the answers into one Parquet file per model.

    A model that fails does not stop the others. Raises LockedError where another process works on the run, DiskError
    where the disk is full; whatever was answered until then is kept, and the same call goes on from there.
    """
    require_posix()
    run = run_folder(workspace, order)
    with holding(run), catching_interrupts(notify) as interrupt:
        kitchen = _Kitchen(workspace, run, interrupt, notify)
        asked = write_down(workspace, order, run)
        outcomes = []
        for model in order.models:
            if not interrupt.level:
                outcomes.append(_run_model(kitchen, model, tuple(c for c in asked if c.model == model.name)))
                notify(outcomes[-1])
        return RunOutcome(run, tuple(outcomes), interrupted=interrupt.level > 0)


def _run_model(kitchen: _Kitchen, model: Model, cells: tuple[Cell, ...]) -> ModelOutcome:
    """Let one model answer what is missing; its failure is part of the outcome, that of our disk is not."""
    start = time.monotonic()
    compact(kitchen.run, model.name)
    missing = find_missing(kitchen.run, cells)
    statuses: dict[str, int] = {}
    error = None
    if missing.count:
        try:
            error = _ask(kitchen, model, missing, statuses)
        except DiskError:
            raise
        except BakeoffError as failure:
            error = str(failure)
        compact(kitchen.run, model.name)
    before = missing.total - missing.count
    return ModelOutcome(model.name, missing.total, before, statuses, time.monotonic() - start, error)


def _ask(kitchen: _Kitchen, model: Model, missing: Missing, statuses: dict[str, int]) -> str | None:
    """Ask what is missing; return why the model failed, or None. `statuses` counts what came."""
    run = kitchen.run
    systems = tuple(read_prompt(run, cell).system for cell in missing.cells)
    columns = [CellColumns(c.model, c.runner, canonical(c.params), c.prompt) for c in missing.cells]
    with Journal(journal_folder(run, model.name), columns) as journal:
        work = Work(missing.tasks(), journal, spill_folder(run), statuses=statuses)
        if not work.has_more():
            return None
        env = ensure_env(kitchen.workspace, model.runner, lambda text: kitchen.notify(Note(text)))
        record_env(run, model.runner.name, env)
        spec = make_spec(kitchen.workspace, replace(model, params=missing.cells[0].params), env, run)
        advance = _advance(model.name, missing, statuses, kitchen.notify)
        with use_env(env):
            return answer_all(work, lambda: Session(spec), systems, kitchen.interrupt, advance)


def _advance(model: str, missing: Missing, statuses: dict[str, int], notify: Notify) -> Callable[[], None]:
    """Return what tells how far `model` has come, not more often than an eye can follow."""
    start = last = time.monotonic()

    def tell() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _NOTIFY_EVERY_S:
            last = now
            ok = statuses.get("ok", 0)
            failed = sum(statuses.values()) - ok
            before = missing.total - missing.count
            notify(Advance(model, missing.total, before, ok, failed, now - start))

    return tell
