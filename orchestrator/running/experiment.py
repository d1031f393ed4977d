"""Run models over a dataset: find what is missing, ask for it, collect one Parquet file per model."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    with holding(run), _collecting_rarely(), catching_interrupts(notify) as interrupt:
        kitchen = _Kitchen(workspace, run, interrupt, notify)
        asked = write_down(workspace, order, run)
        outcomes = []
        for model in order.models:
            if not interrupt.level:
                outcomes.append(_run_model(kitchen, model, tuple(c for c in asked if c.model == model.name)))
                notify(outcomes[-1])
        return RunOutcome(run, tuple(outcomes), interrupted=interrupt.level > 0)


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Look for cyclic garbage a hundredth as often: rows are many and have none, which saves a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(before[0] * 100, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _run_model(kitchen: _Kitchen, model: Model, cells: tuple[Cell, ...]) -> ModelOutcome:
    """Let one model answer what is missing; its failure is part of the outcome, that of our disk is not."""
    start = time.monotonic()
    _compact(kitchen, model.name)
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
        _compact(kitchen, model.name)
    before = missing.total - missing.count
    elapsed_s = time.monotonic() - start
    return ModelOutcome(model.name, missing.answers, missing.total, before, statuses, elapsed_s, error)


def _compact(kitchen: _Kitchen, model: str) -> None:
    """Compact the model's journals and tell what was damaged in them."""
    done = compact(kitchen.run, model)
    if done.damaged:
        kept = f"; see {', '.join(map(str, done.kept))}" if done.kept else ""
        text = f"{model}: {done.damaged} records of its journal were damaged; what they answered is asked again{kept}"
        kitchen.notify(Note(text))


def _ask(kitchen: _Kitchen, model: Model, missing: Missing, statuses: dict[str, int]) -> str | None:
    """Ask what is missing; return why the model failed, or None. `statuses` counts what came."""
    run = kitchen.run
    systems = tuple(read_prompt(run, cell).system for cell in missing.cells)
    columns = [CellColumns(c.model, c.runner, canonical(c.params), c.prompt) for c in missing.cells]
    with Journal(journal_folder(run, model.name), columns) as journal:
        is_proven = missing.count < missing.total
        work = Work(missing.tasks(), journal, spill_folder(run), missing.total, is_proven, statuses=statuses)
        if not work.has_more():
            return None

        def note(text: str) -> None:
            kitchen.notify(Note(text))

        env = ensure_env(kitchen.workspace, model.runner, note)
        record_env(run, model.runner.name, env)
        spec = make_spec(kitchen.workspace, replace(model, params=missing.cells[0].params), env, run)
        advance = _advance(model.name, missing, statuses, kitchen.notify)
        with use_env(env):
            error = answer_all(work, lambda: Session(spec, note), systems, kitchen.interrupt, advance)
        return error or _find_total_failure(work)


def _find_total_failure(work: Work) -> str | None:
    """Say so where a model that never answered met every request with an error: that is the model's failure."""
    errors = sum(work.statuses.get(status, 0) for status in ("error", "timeout", "crashed", "lost"))
    if work.is_proven or not errors or "refused" in work.statuses:
        return None
    return f"none of {errors} requests was answered, the first because of: {work.first_error}"


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
