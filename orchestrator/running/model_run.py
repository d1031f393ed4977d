"""Run one model: find what it has not answered, get its environment, let it answer, compact its answers."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from orchestrator.config import Model
from orchestrator.env import ensure_env, lock_digest, use_env
from orchestrator.errors import BakeoffError, DiskError
from orchestrator.identity import digest_runner
from orchestrator.process import Child
from orchestrator.results.layout import set_aside_folder
from orchestrator.results.plan import Cell
from orchestrator.results.view import compact
from orchestrator.running import fresh
from orchestrator.running.events import ModelOutcome, Note
from orchestrator.running.kitchen import Kitchen
from orchestrator.running.machine import need_of
from orchestrator.running.missing import Missing, find_missing
from orchestrator.running.parameters import find_unset
from orchestrator.running.planning import record_answers, record_env
from orchestrator.running.pool import Grant
from orchestrator.running.progress import Progress
from orchestrator.running.settings import Setting
from orchestrator.running.supervise import LaterError
from orchestrator.running.tasks import Tasks
from orchestrator.running.team import Start, Team, open_journal, open_work
from orchestrator.running.worker_spec import make_spec
from orchestrator.session import Session


def run_model(kitchen: Kitchen, model: Model, rank: int, settings: Sequence[Setting]) -> list[ModelOutcome]:
    """Let one model answer what is missing, one setting after the other; a failure of one does not stop the others.

    Of models that wait for the same, the one with the lower `rank` is served first.
    """
    cells = tuple(cell for setting in settings for cell in setting.cells)
    outcomes: list[ModelOutcome] = []
    try:
        for setting in settings:
            if not outcomes or not kitchen.is_over():
                outcomes.append(_run_setting(kitchen, model, rank, setting, None if outcomes else cells))
                kitchen.notify(outcomes[-1])
    finally:
        try:
            _settle_afresh(kitchen, model.name, cells)
        except DiskError:
            raise
        except BakeoffError as failure:
            kitchen.tell(model.name, str(failure))
    return outcomes


def _run_setting(
    kitchen: Kitchen, model: Model, rank: int, setting: Setting, afresh: tuple[Cell, ...] | None
) -> ModelOutcome:
    """Let a model answer what is missing of a setting; its failure is part of the outcome, that of our disk is not.

    What it is to be asked `afresh` is put away before.
    """
    start = time.monotonic()
    outcome = ModelOutcome(model.name, 0, 0, {}, {}, 0.0, setting=setting.name)
    try:
        with kitchen.reading:
            _compact(kitchen, model.name)
            if kitchen.interrupt.level:
                return outcome
            if kitchen.order.fresh and afresh:
                _begin_afresh(kitchen, model.name, afresh)
            missing = find_missing(kitchen.run, setting.cells, retry_failed=kitchen.order.retry_failed)
        outcome = replace(outcome, answers=missing.answers, total=missing.total, before=missing.before)
        try:
            error, waited_s = _ask(kitchen, model, rank, missing, outcome) if missing.count else (None, 0.0)
            start += waited_s
        finally:
            if missing.count:
                with kitchen.reading:
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
        if not kitchen.is_over():
            outcome = replace(outcome, error=str(failure), is_passing=isinstance(failure, LaterError))
        elif not outcome.is_complete:  # it was stopped in the middle of building its environment, say
            outcome = replace(outcome, stopped=kitchen.order.ceiling.reason)
    is_cut_short = kitchen.interrupt.level or outcome.stopped
    error = outcome.error or (None if is_cut_short else _find_total_failure(outcome))
    return replace(outcome, error=error, elapsed_s=time.monotonic() - start)


def _compact(kitchen: Kitchen, model: str) -> None:
    """Compact the model's journals and tell what was damaged in them."""
    done = compact(kitchen.run, model)
    if bent := done.damaged - done.torn:
        kept = f"; see {', '.join(map(str, done.kept))}" if done.kept else ""
        kitchen.tell(model, f"{_records(bent)} of its journal damaged; what they answered is asked again{kept}")
    if done.torn:
        kitchen.tell(model, f"{_records(done.torn)} cut short when bakeoff was killed; what it answered is asked again")


def _records(n: int) -> str:
    return "1 record was" if n == 1 else f"{n} records were"


def _begin_afresh(kitchen: Kitchen, model: str, cells: Sequence[Cell]) -> None:
    """Put away what the model answered before to what `cells` ask, and tell where it is."""
    n = fresh.begin(kitchen.run, model, cells)
    if n is None:
        kitchen.tell(model, "asking afresh goes on where it was left")
    elif n:
        kitchen.tell(model, f"{n} predictions were set aside in {set_aside_folder(kitchen.run)}; all is asked anew")


def _settle_afresh(kitchen: Kitchen, model: str, cells: Sequence[Cell]) -> None:
    """Where a model that was to be asked afresh has answered nothing, put its earlier predictions back."""
    if not fresh.is_under_way(kitchen.run, model):
        return
    now = find_missing(kitchen.run, cells)
    n = fresh.settle(kitchen.run, model, cells, is_answered=now.has_answers, is_complete=now.count == 0)
    if n:
        kitchen.tell(model, f"it answered nothing anew, so its {n} earlier predictions were put back")


def _ask(
    kitchen: Kitchen, model: Model, rank: int, missing: Missing, outcome: ModelOutcome
) -> tuple[str | None, float]:
    """Ask what is missing; return why the model failed, or None, and how long it waited for others, in seconds.

    What comes is counted in `outcome`.
    """
    if all(task.expected.defect is not None for task in missing.tasks()):
        _write_defects(kitchen, missing, outcome)
        return None, 0.0
    if unset := find_unset(kitchen.workspace, model, missing.cells[0].params):
        raise BakeoffError(unset)
    need = need_of(model, kitchen.pool.machine)
    with _prepare(kitchen, model, missing.cells[0]) as start:
        team = Team(kitchen, missing, outcome, start, need, kitchen.order.replicas, rank)
        return team.answer(), team.waited_s


def _write_defects(kitchen: Kitchen, missing: Missing, outcome: ModelOutcome) -> None:
    """Write down what cannot be asked, which takes no worker."""
    tasks = Tasks()
    progress = Progress(missing, outcome, tasks, kitchen.notify)
    try:
        with (
            open_journal(kitchen, missing, outcome) as journal,
            open_work(kitchen, missing, outcome, tasks, journal) as work,
        ):
            progress.watch(1, work)
            work.has_more()
    finally:
        progress.close()


@contextmanager
def _prepare(kitchen: Kitchen, model: Model, cell: Cell) -> Iterator[Start]:
    """Get the model's environment and yield what starts workers of it, as long as its code is what was planned."""

    def note(text: str) -> None:
        kitchen.notify(Note(text))

    env = ensure_env(kitchen.workspace, model.runner, note, kitchen.is_over)
    record_env(kitchen.run, model.runner.name, env)
    asked = replace(model, params=cell.params)

    def start(number: int, grant: Grant) -> Session:
        try:
            is_same = digest_runner(model.runner, lock_digest(model.runner)) == cell.runner_digest
        except OSError:  # a file of it went while it was read
            is_same = False
        if not is_same:
            raise BakeoffError(f"{model.runner.folder} was edited while the run went on; run the same command again")
        threads = len(grant.cores) if grant.cores else None
        spec = make_spec(
            kitchen.workspace, asked, env, kitchen.run, number=number, devices=grant.devices, threads=threads
        )

        def spawn(argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> Child:
            return kitchen.start(argv, environment, folder, grant)

        return Session(spec, note, is_supervised=True, start=spawn)

    with use_env(env):
        yield start


def _find_total_failure(outcome: ModelOutcome) -> str | None:
    """Say so where a model has no answer to show for all that it was asked: then something is wrong with all of it."""
    statuses = Counter(outcome.before) + Counter(outcome.statuses)
    if not statuses or statuses["ok"] or statuses["refused"]:
        return None
    reason = next(iter(outcome.reasons.values()), None)
    return f"none of {statuses.total()} requests was answered" + (f", the first because: {reason}" if reason else "")
