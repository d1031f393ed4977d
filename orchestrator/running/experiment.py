"""Run models over a dataset: write down what is asked, let all models answer side by side."""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import Model, Workspace, refuse_gaps, refuse_secrets
from orchestrator.errors import BakeoffError, nearest
from orchestrator.files import check_space
from orchestrator.process import end_programs
from orchestrator.results.layout import remove_empty_spills, remove_leftovers
from orchestrator.running.events import Event, ModelOutcome, Note, Notify
from orchestrator.running.interrupt import Interrupt, catching_interrupts
from orchestrator.running.kitchen import Kitchen
from orchestrator.running.lock import holding
from orchestrator.running.machine import look_around
from orchestrator.running.model_run import run_model
from orchestrator.running.planning import Order, record_failure, run_folder, write_down
from orchestrator.running.pool import Pool
from orchestrator.running.settings import Setting, find_settings
from orchestrator.session import require_posix


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended; `folder` holds everything it left."""

    folder: Path
    models: tuple[ModelOutcome, ...]
    interrupted: bool = False
    is_complete: bool = False  # the same call would find nothing to ask
    stopped: str | None = None  # which limit of the whole call ended it
    problem: BakeoffError | None = None  # in a set: why the run could not be worked on, or not to its end


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
    settings: dict[str, Sequence[Setting]] | None = None
    with holding(run), _collecting_rarely(), catching_interrupts(notify) as interrupt:
        remove_leftovers(run)
        kitchen = _open_kitchen(workspace, order, run, interrupt, notify)
        check_space(run, kitchen.disk_floor_bytes)
        for text in _doubts(order):
            kitchen.notify(Note(text))
        asked = write_down(workspace, order, run, lambda text: kitchen.notify(Note(text)))
        settings = {m.name: find_settings(c for c in asked if c.model == m.name) for m in order.models}
        outcomes = _run_all(kitchen, settings)
    is_all = settings is not None and len(outcomes) == sum(map(len, settings.values()))
    is_complete = is_all and all(each.is_complete for each in outcomes)
    stopped = None if is_complete else order.ceiling.describe_end()
    return RunOutcome(run, tuple(outcomes), interrupt.level > 0, is_complete, stopped)


def _open_kitchen(workspace: Workspace, order: Order, run: Path, interrupt: Interrupt, notify: Notify) -> Kitchen:
    has_devices = any(model.runner.manifest.accelerator != "none" for model in order.models)
    pool = Pool(look_around(workspace.settings, with_devices=has_devices))
    return Kitchen(workspace, run, order, interrupt, _one_at_a_time(notify), time.time_ns(), pool)


def _one_at_a_time(notify: Notify) -> Notify:
    """Return `notify` for many threads; a signal may come while the main thread is in it."""
    lock = threading.RLock()

    def tell(event: Event) -> None:
        with lock:
            notify(event)

    return tell


def _run_all(kitchen: Kitchen, settings: Mapping[str, Sequence[Setting]]) -> list[ModelOutcome]:
    """Run all models side by side, as many as may be, each as soon as there is room; return their outcomes in order."""
    interrupt, order = kitchen.interrupt, kitchen.order
    outcomes: dict[str, list[ModelOutcome]] = {model.name: [] for model in order.models}

    def make_job(rank: int, model: Model) -> Callable[[], None]:
        def job() -> None:
            if not kitchen.is_over():
                outcomes[model.name] = run_model(kitchen, model, rank, settings[model.name])
                record_failure(kitchen.run, model.name, _join_errors(outcomes[model.name]))

        return job

    def tick() -> None:
        if kitchen.is_over():
            end_programs()

    def stop() -> None:
        interrupt.level = max(interrupt.level, 1)

    jobs = [make_job(rank, model) for rank, model in enumerate(order.models)]
    try:
        with interrupt.deferred():
            kitchen.crew.work(jobs, order.max_parallel or len(jobs), tick, stop)
    finally:
        remove_empty_spills(kitchen.run)
    return [outcome for each in outcomes.values() for outcome in each]


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
