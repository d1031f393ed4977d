"""Run models over a dataset: find what is missing, ask for it, collect one Parquet file per model."""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.config import Model, Workspace, refuse_gaps, refuse_secrets
from orchestrator.env import ensure_env, lock_digest, use_env
from orchestrator.errors import BakeoffError, DiskError, nearest
from orchestrator.files import check_space
from orchestrator.identity import canonical, digest_runner
from orchestrator.results.expected import read_prompt
from orchestrator.results.journal import CellColumns, Journal
from orchestrator.results.layout import journal_folder, remove_leftovers, set_aside_folder
from orchestrator.results.plan import Cell
from orchestrator.results.view import compact
from orchestrator.running import fresh
from orchestrator.running.events import Advance, ModelOutcome, Note, Notify
from orchestrator.running.interrupt import Interrupt, catching_interrupts
from orchestrator.running.lock import holding
from orchestrator.running.missing import Missing, find_missing
from orchestrator.running.planning import Order, record_answers, record_env, record_failure, run_folder, write_down
from orchestrator.running.settings import Setting, find_settings
from orchestrator.running.supervise import LaterError, answer_all
from orchestrator.running.work import Work
from orchestrator.running.worker_spec import make_spec
from orchestrator.session import Session, require_posix

_NOTIFY_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended; `folder` holds everything it left."""

    folder: Path
    models: tuple[ModelOutcome, ...]
    interrupted: bool = False
    is_complete: bool = False  # the same call would find nothing to ask
    stopped: str | None = None  # which limit of the whole call ended it


@dataclass(frozen=True, slots=True)
class _Kitchen:
    """What the parts of one call share."""

    workspace: Workspace
    run: Path
    order: Order
    interrupt: Interrupt
    notify: Notify
    began_ns: int  # when images were digested: what is younger was changed since

    @property
    def disk_floor_bytes(self) -> int:
        """How much of the disk is left to others."""
        return int(self.workspace.settings.disk_floor_mb * 1e6)

    def tell(self, model: str, text: str) -> None:
        """Tell the person who waits a sentence about `model`."""
        self.notify(Note(f"{model}: {text}"))

    def is_over(self) -> bool:
        """Tell whether nothing more is to be begun."""
        return self.interrupt.level > 0 or self.order.ceiling.find_end() is not None


def carry_out(workspace: Workspace, order: Order, notify: Notify) -> RunOutcome:
    """Ask every model what it has not answered yet and compact the answers into one Parquet file per model.

    A model that fails does not stop the others, its ceiling does. Raises LockedError where another process works on the
    run, DiskError where the disk is full; whatever was answered until then is kept, and the same call goes on
    from there.
    """
    require_posix()
    for part in order.parts:
        refuse_secrets(part.overrides, "--param")
        refuse_gaps(part.model, {**part.model.params, **part.overrides})
    run = run_folder(workspace, order)
    outcomes: list[ModelOutcome] = []
    with holding(run), _collecting_rarely(), catching_interrupts(notify) as interrupt:
        remove_leftovers(run)
        kitchen = _Kitchen(workspace, run, order, interrupt, notify, time.time_ns())
        check_space(run, kitchen.disk_floor_bytes)
        for text in _doubts(order):
            notify(Note(text))
        asked = write_down(workspace, order, run, lambda text: notify(Note(text)))
        settings = {m.name: find_settings(c for c in asked if c.model == m.name) for m in order.models}
        for model in order.models:
            if not kitchen.is_over():
                outcomes += (done := _run_model(kitchen, model, settings[model.name]))
                record_failure(run, model.name, _join_errors(done))
    is_complete = len(outcomes) == sum(map(len, settings.values())) and all(each.is_complete for each in outcomes)
    stopped = None if is_complete else order.ceiling.reason
    return RunOutcome(run, tuple(outcomes), interrupt.level > 0, is_complete, stopped)


def _join_errors(outcomes: Sequence[ModelOutcome]) -> str | None:
    """Return why some part of a model failed, each with its setting where there are several."""
    errors = [f"{each.setting}: {each.error}" if each.setting else each.error for each in outcomes if each.error]
    return "; ".join(errors) or None


def _doubts(order: Order) -> Iterator[str]:
    """Yield a sentence for each parameter that a model's runner and table do not mention."""
    for model, name in dict.fromkeys((part.model.name, name) for part in order.parts for name in part.overrides):
        params = next(part.model.params for part in order.parts if part.model.name == model)
        if params and name not in params:
            yield f"{model}: '{name}', which is passed on, is none of its parameters{nearest(name, params)}"


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Look for cyclic garbage a hundredth as often: rows are many and have none, which saves a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(before[0] * 100, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _run_model(kitchen: _Kitchen, model: Model, settings: Sequence[Setting]) -> list[ModelOutcome]:
    """Let one model answer what is missing, one setting after the other; a failure of one does not stop the others."""
    cells = tuple(cell for setting in settings for cell in setting.cells)
    outcomes: list[ModelOutcome] = []
    try:
        for setting in settings:
            if not outcomes or not kitchen.is_over():
                outcomes.append(_run_setting(kitchen, model, setting, None if outcomes else cells))
                kitchen.notify(outcomes[-1])
    finally:
        try:
            _settle_afresh(kitchen, model.name, cells)
        except DiskError:
            raise
        except BakeoffError as failure:
            kitchen.tell(model.name, str(failure))
    return outcomes


def _run_setting(kitchen: _Kitchen, model: Model, setting: Setting, afresh: tuple[Cell, ...] | None) -> ModelOutcome:
    """Let a model answer what is missing of a setting; its failure is part of the outcome, that of our disk is not.

    What it is to be asked `afresh` is put away before.
    """
    start = time.monotonic()
    outcome = ModelOutcome(model.name, 0, 0, {}, {}, 0.0, setting=setting.name)
    try:
        _compact(kitchen, model.name)
        if kitchen.interrupt.level:
            return outcome
        if kitchen.order.fresh and afresh:
            _begin_afresh(kitchen, model.name, afresh)
        missing = find_missing(kitchen.run, setting.cells, retry_failed=kitchen.order.retry_failed)
        outcome = replace(outcome, answers=missing.answers, total=missing.total, before=missing.before)
        try:
            error = _ask(kitchen, model, missing, outcome) if missing.count else None
        finally:
            if missing.count:
                _compact(kitchen, model.name)
            if outcome.statuses:
                record_answers(kitchen.run)
        stopped = kitchen.order.ceiling.reason
        is_stopped = stopped is not None and error is not None and error.startswith(stopped)
        if is_stopped:
            outcome = replace(outcome, stopped=None if outcome.is_complete else stopped)
        else:
            outcome = replace(outcome, error=error)
    except DiskError:
        raise
    except BakeoffError as failure:
        outcome = replace(outcome, error=str(failure), is_passing=isinstance(failure, LaterError))
    is_cut_short = kitchen.interrupt.level or outcome.stopped
    error = outcome.error or (None if is_cut_short else _find_total_failure(outcome))
    return replace(outcome, error=error, elapsed_s=time.monotonic() - start)


def _compact(kitchen: _Kitchen, model: str) -> None:
    """Compact the model's journals and tell what was damaged in them."""
    with kitchen.interrupt.deferred():
        done = compact(kitchen.run, model)
    if bent := done.damaged - done.torn:
        kept = f"; see {', '.join(map(str, done.kept))}" if done.kept else ""
        kitchen.tell(model, f"{_records(bent)} of its journal damaged; what they answered is asked again{kept}")
    if done.torn:
        kitchen.tell(model, f"{_records(done.torn)} cut short when bakeoff was killed; what it answered is asked again")


def _records(n: int) -> str:
    return "1 record was" if n == 1 else f"{n} records were"


def _begin_afresh(kitchen: _Kitchen, model: str, cells: Sequence[Cell]) -> None:
    """Put away what the model answered before to what `cells` ask, and tell where it is."""
    with kitchen.interrupt.deferred():
        n = fresh.begin(kitchen.run, model, cells)
    if n is None:
        kitchen.tell(model, "asking afresh goes on where it was left")
    elif n:
        kitchen.tell(model, f"{n} predictions were set aside in {set_aside_folder(kitchen.run)}; all is asked anew")


def _settle_afresh(kitchen: _Kitchen, model: str, cells: Sequence[Cell]) -> None:
    """Where a model that was to be asked afresh has answered nothing, put its earlier predictions back."""
    if not fresh.is_under_way(kitchen.run, model):
        return
    with kitchen.interrupt.deferred():
        now = find_missing(kitchen.run, cells)
        n = fresh.settle(kitchen.run, model, cells, is_answered=now.has_answers, is_complete=now.count == 0)
    if n:
        kitchen.tell(model, f"it answered nothing anew, so its {n} earlier predictions were put back")


def _ask(kitchen: _Kitchen, model: Model, missing: Missing, outcome: ModelOutcome) -> str | None:
    """Ask what is missing; return why the model failed, or None. What comes is counted in `outcome`."""
    run, interrupt = kitchen.run, kitchen.interrupt
    systems = tuple(read_prompt(run, cell).system for cell in missing.cells)
    kitchen.order.ceiling.watch(outcome.spent)
    columns = [CellColumns(c.model, c.runner, canonical(c.params), c.prompt) for c in missing.cells]
    with ExitStack() as stack:
        can_ask = any(task.expected.defect is None for task in missing.tasks())
        start = stack.enter_context(_prepare(kitchen, model, missing.cells[0])) if can_ask else None
        stack.enter_context(interrupt.deferred())
        journal = stack.enter_context(Journal(journal_folder(run, model.name), columns, kitchen.disk_floor_bytes))
        work = Work(
            missing,
            journal,
            run,
            kitchen.began_ns,
            outcome.statuses,
            note=lambda text: kitchen.tell(outcome.label, text),
            failures_max=kitchen.order.max_failures,
            ceiling=kitchen.order.ceiling,
            reasons=outcome.reasons,
            spent=outcome.spent,
        )
        stack.enter_context(work)
        if not work.has_more() or start is None:
            return None
        return answer_all(work, start, systems, interrupt, _advance(missing, outcome, kitchen.notify))


@contextmanager
def _prepare(kitchen: _Kitchen, model: Model, cell: Cell) -> Iterator[Callable[[], Session]]:
    """Get the model's environment and yield what starts a worker of it, as long as its code is what was planned."""

    def note(text: str) -> None:
        kitchen.notify(Note(text))

    env = ensure_env(kitchen.workspace, model.runner, note)
    record_env(kitchen.run, model.runner.name, env)
    spec = make_spec(kitchen.workspace, replace(model, params=cell.params), env, kitchen.run)

    def start() -> Session:
        try:
            is_same = digest_runner(model.runner, lock_digest(model.runner)) == cell.runner_digest
        except OSError:  # a file of it went while it was read
            is_same = False
        if not is_same:
            raise BakeoffError(f"{model.runner.folder} was edited while the run went on; run the same command again")
        return Session(spec, note, is_supervised=True)

    with use_env(env):
        yield start


def _find_total_failure(outcome: ModelOutcome) -> str | None:
    """Say so where a model has no answer to show for all that it was asked: then something is wrong with all of it."""
    statuses = Counter(outcome.before) + Counter(outcome.statuses)
    if not statuses or statuses["ok"] or statuses["refused"]:
        return None
    reason = next(iter(outcome.reasons.values()), None)
    return f"none of {statuses.total()} requests was answered" + (f", the first because: {reason}" if reason else "")


def _advance(missing: Missing, outcome: ModelOutcome, notify: Notify) -> Callable[[str], None]:
    """Return what tells how far a model has come, not more often than an eye can follow.

    The first reason why requests fail is told when it is known, unless all is over then and the outcome tells it.
    """
    start = last = time.monotonic()
    told: set[str] = set()

    def tell(stage: str) -> None:
        nonlocal start, last
        now = time.monotonic()
        if stage and not outcome.statuses:  # what is counted is the time since it was loaded
            start = now
        if now - last < _NOTIFY_EVERY_S:
            return
        last = now
        if sum(outcome.statuses.values()) < missing.count:
            for status in outcome.reasons.keys() - told:
                told.add(status)
                notify(Note(f"{outcome.label}: the first {status}: {outcome.reasons[status]}"))
        before = missing.total - missing.count
        took = now - start
        notify(Advance(outcome.model, missing.total, before, outcome.ok, outcome.failed, took, stage, outcome.setting))

    return tell
