"""Ask models: runs, experiment sets, a first look."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator import experiments
from orchestrator.api.places import Place, ignore, listed, open_place
from orchestrator.config import Workspace, get_model
from orchestrator.datasets import open_dataset
from orchestrator.experiments import ExperimentSet, SetOutcome, SetPlan
from orchestrator.experiments.carrying import limited, make_ceiling, make_stops
from orchestrator.experiments.endpoints import refuse_stray_key
from orchestrator.experiments.resolve import set_of_order
from orchestrator.prompt_files import load_prompt, load_prompts
from orchestrator.running.events import Notify
from orchestrator.running.experiment import RunOutcome, carry_out
from orchestrator.running.first_look import Answer, ask_once
from orchestrator.running.planning import Order, run_folder


def run(
    *,
    models: Sequence[str] | str,
    dataset: str | Path,
    prompts: Sequence[str] | str = ("question",),
    repeat: int = 1,
    params: Mapping[str, Any] | None = None,
    limit: int | None = None,
    name: str | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    max_failures: int | None = None,
    max_cost: float | None = None,
    max_time: float | str | None = None,
    max_parallel: int | None = None,
    replicas: int = 1,
    workspace: Place = None,
    notify: Notify | None = None,
) -> RunOutcome:
    """Ask `models` every question of `dataset` that they have not answered yet, with each of `prompts`.

    With `retry_failed` also what finally failed before, with `fresh` everything anew (earlier predictions are set aside
    in the run's folder `old`). A model is given up with `max_failures` failed requests; all stop where their answers,
    earlier ones included, cost `max_cost` US dollars, or after `max_time` (seconds, or a text such as "2h").
    Models run side by side as far as the machine has room, at most `max_parallel` at a time, each with up to `replicas`
    workers.
    A model that fails is told in the outcome; raises BakeoffError for what does not exist or does not fit.
    """
    opened, tell = open_place(workspace), notify or ignore
    stops = make_stops(max_cost, max_time, max_failures)
    order = _order(opened, models, dataset, prompts, repeat, params, limit, name)
    ceiling = make_ceiling(opened, set_of_order(order, run_folder(opened, order).name), stops, tell, fresh=fresh)
    changes: dict[str, Any] = {
        "retry_failed": retry_failed,
        "fresh": fresh,
        "max_failures": max_failures,
        "max_parallel": max_parallel,
        "replicas": replicas,
        "ceiling": ceiling,
    }
    return carry_out(opened, replace(order, **changes), tell)


def plan_run(
    *,
    models: Sequence[str] | str,
    dataset: str | Path,
    prompts: Sequence[str] | str = ("question",),
    repeat: int = 1,
    params: Mapping[str, Any] | None = None,
    limit: int | None = None,
    name: str | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    max_cost: float | None = None,
    max_time: float | str | None = None,
    workspace: Place = None,
) -> SetPlan:
    """Return what `run` would ask with the same arguments, what is there, and what the rest may take; ask nothing."""
    opened, stops = open_place(workspace), make_stops(max_cost, max_time, None)
    order = _order(opened, models, dataset, prompts, repeat, params, limit, name)
    wanted = limited(set_of_order(order, run_folder(opened, order).name), stops)
    return experiments.plan_set(opened, wanted, retry_failed=retry_failed, fresh=fresh)


def _order(
    workspace: Workspace,
    models: Sequence[str] | str,
    dataset: str | Path,
    prompts: Sequence[str] | str,
    repeat: int,
    params: Mapping[str, Any] | None,
    limit: int | None,
    name: str | None,
) -> Order:
    return Order(
        models=tuple(get_model(workspace, model) for model in dict.fromkeys(listed(models))),
        dataset=open_dataset(workspace, str(dataset)),
        prompts=load_prompts(workspace, dict.fromkeys(map(str, listed(prompts)))),
        overrides=dict(params or {}),
        repeats=repeat,
        limit=limit,
        run=name,
    )


def open_set(
    given: str | Path, *, limit: int | None = None, name: str | None = None, workspace: Place = None
) -> ExperimentSet:
    """Read an experiment set, a name below `experiments/` or a path; see `orchestrator.experiments.resolve`.

    With `limit` and `name` all its cells are over the first `limit` samples, in the run `name`.
    """
    return experiments.open_set(open_place(workspace), str(given), limit=limit, run=name)


def plan_set(
    given: str | Path,
    *,
    limit: int | None = None,
    name: str | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    max_cost: float | None = None,
    max_time: float | str | None = None,
    workspace: Place = None,
) -> SetPlan:
    """Return what `run_set` would ask, what is there already, and what the rest may take; nothing is asked."""
    opened, stops = open_place(workspace), make_stops(max_cost, max_time, None)
    wanted = limited(experiments.open_set(opened, str(given), limit=limit, run=name), stops)
    return experiments.plan_set(opened, wanted, retry_failed=retry_failed, fresh=fresh)


def run_set(
    given: str | Path,
    *,
    limit: int | None = None,
    name: str | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    max_failures: int | None = None,
    max_cost: float | None = None,
    max_time: float | str | None = None,
    max_parallel: int | None = None,
    replicas: int = 1,
    workspace: Place = None,
    notify: Notify | None = None,
) -> SetOutcome:
    """Carry an experiment set out: ask what is missing of its cells. The arguments are those of `run` and `open_set`.

    Raises BakeoffError with file and key for what is misspelt, unknown or does not fit, before anything is asked.
    """
    opened = open_place(workspace)
    stops = make_stops(max_cost, max_time, max_failures)
    wanted = experiments.open_set(opened, str(given), limit=limit, run=name)
    changes = {"retry_failed": retry_failed, "fresh": fresh, "max_parallel": max_parallel, "replicas": replicas}
    return experiments.run_set(opened, wanted, notify or ignore, stops=stops, changes=changes)


def try_model(
    model: str,
    images: Sequence[Path | str] | Path | str,
    question: str,
    *,
    prompt: str | None = None,
    params: Mapping[str, Any] | None = None,
    workspace: Place = None,
    notify: Callable[[str], None] | None = None,
) -> Answer:
    """Ask one model one question about `images`, put into `prompt` if one is given, and keep nothing.

    Raises UsageError where `params` take a model to another host with the key that is for its own.
    """
    opened = open_place(workspace)
    found = get_model(opened, model)
    refuse_stray_key(found, params or {})
    chosen = replace(found, params={**found.params, **(params or {})})
    filled = load_prompt(opened, prompt) if prompt else None
    return ask_once(opened, chosen, [Path(image) for image in listed(images)], question, notify or ignore, filled)
