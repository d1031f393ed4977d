"""Turn what a person asked for into the cells of a run, and freeze them with their samples and prompts on disk."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator import __version__
from orchestrator.config import Model, Workspace
from orchestrator.datasets import Dataset
from orchestrator.env import Env, lock_digest
from orchestrator.errors import UsageError
from orchestrator.identity import canonical, digest_runner
from orchestrator.images import DigestCache
from orchestrator.names import RULE, is_plain_name
from orchestrator.process import git_commit
from orchestrator.prompt import Prompt
from orchestrator.results.layout import PLAN_NAME
from orchestrator.results.plan import Cell, EnvRecord, RunPlan, merge_cells, now, read_plan, widest, write_plan
from orchestrator.running.ceiling import Ceiling
from orchestrator.running.fitting import check_sets, find_shown, refuse_chats
from orchestrator.running.parameters import fitting_overrides, is_known, note_left_out, refuse_misfits
from orchestrator.running.snapshot import write_prompts, write_samples

_plan_lock = threading.Lock()  # models that work side by side change one `run.json`


@dataclass(frozen=True, slots=True)
class Item:
    """A part of an order: one model with `overrides`, by each of `prompts`."""

    model: Model
    overrides: Mapping[str, Any]
    prompts: tuple[Prompt, ...]
    repeats: int = 1
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked for: models x prompts over the first `limit` samples of a dataset, each `repeats` times.

    `overrides` are parameters laid over those of every model; `run` names the run, None after the dataset. With
    `fresh` earlier predictions are set aside and asked anew, with `retry_failed` those that are no answer. With
    `max_failures` failed requests a model is given up. At most `max_parallel` models work at the same time (None: as
    many as the machine has room for), each with up to `replicas` workers.
    `items`, where there are any, say which of the models is asked
    what in place of `overrides`, `repeats` and `limit`. At the `ceiling` all models stop.

    Raises UsageError for an override that none of the models has, or whose value cannot be; one that some have is left
    out for the others.
    """

    models: tuple[Model, ...]
    dataset: Dataset
    prompts: tuple[Prompt, ...]
    overrides: Mapping[str, Any]
    repeats: int = 1
    limit: int | None = None
    run: str | None = None
    retry_failed: bool = False
    fresh: bool = False
    max_failures: int | None = None
    max_parallel: int | None = None
    replicas: int = 1
    items: tuple[Item, ...] = ()
    ceiling: Ceiling = field(default_factory=Ceiling)

    def __post_init__(self) -> None:  # noqa: D105 - see the class
        refuse_misfits(self.models, self.overrides)

    @property
    def parts(self) -> tuple[Item, ...]:
        """The items, made of all else where none are given."""
        return self.items or tuple(
            Item(model, fitting_overrides(model, self.overrides), self.prompts, self.repeats, self.limit)
            for model in self.models
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each model that some overrides are left out for."""
        left_out = [(model, [k for k in self.overrides if not is_known(k, model)]) for model in self.models]
        return tuple(note_left_out(model, names) for model, names in left_out if names)

    @property
    def widest(self) -> int | None:
        """How many samples are asked about, None: all."""
        limits = [part.limit for part in self.parts]
        return None if None in limits else max((n for n in limits if n is not None), default=None)


def run_folder(workspace: Workspace, order: Order) -> Path:
    """Return the directory of the run that `order` belongs to; raise UsageError where its name cannot be one."""
    name = order.run or order.dataset.name
    if not is_plain_name(name):
        raise UsageError(f"'{name}' cannot name a run: {RULE}; give another with --run")
    return workspace.results / name


def write_down(workspace: Workspace, order: Order, run: Path, note: Callable[[str], None]) -> tuple[Cell, ...]:
    """Write samples, prompts and `run.json`, keeping what the run was asked before; return the cells of `order`."""
    for part in order.parts:
        refuse_chats([part.model], part.prompts)
    for sentence in order.notes:
        note(sentence)
    asked = tuple(cell for part in order.parts for cell in make_cells(part))
    freeze(workspace, run, order.dataset, asked, order.prompts, note, limit=order.widest)
    return asked


def freeze(
    workspace: Workspace,
    run: Path,
    dataset: Dataset,
    asked: tuple[Cell, ...],
    prompts: tuple[Prompt, ...],
    note: Callable[[str], None],
    *,
    limit: int | None = None,
) -> None:
    """Add the cells `asked` to the run, with the samples and prompts that they need.

    Raises UsageError where the run is about another dataset.
    """
    before = refuse_other_dataset(workspace, run, dataset)
    check_sets(prompts, dataset, limit, note)
    cells = merge_cells(before.cells if before else (), asked)
    with DigestCache(workspace.results / ".images.sqlite") as cache:
        most = widest(cells, before)
        samples = write_samples(run, dataset, most, cache, workspace.image_folders, notify=note)
    for sentence in find_shown(run, prompts):
        note(sentence)
    write_prompts(run, prompts)
    plan = RunPlan(
        name=run.name,
        created=before.created if before else now(),
        updated=now(),
        bakeoff_version=__version__,
        git_commit=git_commit(workspace.root),
        dataset=dataset.name,
        dataset_path=_relative(dataset.path, workspace.root),
        samples=samples,
        cells=cells,
        envs=before.envs if before else {},
        failures=before.failures if before else {},
    )
    if before is None or plan.model_copy(update={"updated": before.updated}) != before:
        write_plan(run, plan)


def refuse_other_dataset(workspace: Workspace, run: Path, dataset: Dataset) -> RunPlan | None:
    """Return what the run was asked before, None where it is new; raise UsageError where that was another dataset."""
    before = read_plan(run) if (run / PLAN_NAME).is_file() else None
    path = _relative(dataset.path, workspace.root)
    if before and before.dataset_path != path:
        raise UsageError(
            f"run '{run.name}' is about the dataset at {before.dataset_path}, not {path}; name another with --run"
        )
    return before


def record_answers(run: Path) -> None:
    """Note in `run.json` that answers came: scores made before are out of date."""
    with _plan_lock:
        write_plan(run, read_plan(run).model_copy(update={"updated": now()}))


def record_failure(run: Path, model: str, failure: str | None) -> None:
    """Note in `run.json` why `model` failed, or that it did not."""
    with _plan_lock:
        plan = read_plan(run)
        if plan.failures.get(model) != failure:
            others = {name: why for name, why in plan.failures.items() if name != model}
            write_plan(run, plan.model_copy(update={"failures": {**others, **({model: failure} if failure else {})}}))


def record_env(run: Path, runner: str, env: Env) -> None:
    """Note in `run.json` what the environment of `runner` holds."""
    record = EnvRecord(
        fingerprint=env.fingerprint,
        python=env.python_version,
        locked=env.locked,
        packages=env.packages,
        torch_build=env.torch_build,
    )
    with _plan_lock:
        plan = read_plan(run)
        if plan.envs.get(runner) != record:
            write_plan(run, plan.model_copy(update={"envs": {**plan.envs, runner: record}}))


def make_cells(part: Item) -> Iterator[Cell]:
    """Yield a cell for each prompt of `part`; raise UsageError where a parameter is not JSON."""
    model, not_in_key = part.model, part.model.runner.manifest.not_in_key
    digest = digest_runner(model.runner, lock_digest(model.runner))
    params = {**model.params, **part.overrides}
    try:
        canonical(params)
    except (TypeError, ValueError) as error:
        raise UsageError(f"model '{model.name}': its parameters are not JSON: {error}") from error
    for prompt in part.prompts:
        yield Cell(
            model=model.name,
            runner=model.runner.name,
            runner_digest=digest,
            params=params,
            overrides={k: v for k, v in part.overrides.items() if k not in not_in_key},
            prompt=prompt.id,
            prompt_sha256=prompt.sha256,
            ignores_prompt=model.runner.manifest.ignores_prompt,
            not_in_key=not_in_key,
            limit=part.limit,
            repeats=part.repeats,
        )


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
