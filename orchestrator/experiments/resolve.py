"""Find what a set names in the workspace, before anything is asked: models, datasets, prompts and metrics."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.config import Model, Workspace, refuse_gaps, refuse_secrets
from orchestrator.datasets import Dataset, open_dataset
from orchestrator.errors import BakeoffError, UsageError, nearest
from orchestrator.experiments.endpoints import (
    ENDPOINTS,
    find_model,
    lay_endpoint,
    refuse_shared_names,
    refuse_stray_key,
)
from orchestrator.experiments.evalap import endpoint_params, is_payload
from orchestrator.experiments.evalap import expand as expand_payload
from orchestrator.experiments.expand import Expanded, Experiment, expand
from orchestrator.experiments.naming import name_cells, refuse_taken_names
from orchestrator.experiments.reading import read_data
from orchestrator.experiments.schema import EvalapFile, SetFile
from orchestrator.experiments.source import find_set
from orchestrator.identity import canonical
from orchestrator.judging import workspace_metrics
from orchestrator.metrics import get_metric
from orchestrator.names import RULE, is_plain_name
from orchestrator.parsing import parse
from orchestrator.prompt import Prompt
from orchestrator.prompt_files import load_prompts
from orchestrator.results.layout import PLAN_NAME
from orchestrator.running.parameters import fitting_overrides, known_names, note_left_out, refuse_other_kinds
from orchestrator.running.planning import Order


@dataclass(frozen=True, slots=True)
class SetCell:
    """One cell of a set, everything found: `overrides` are laid over the model's parameters.

    `name` says in what it differs from the others; `aliases` are the names that the file gives it.
    """

    name: str
    run: str
    dataset: Dataset
    model: Model
    overrides: dict[str, Any]
    prompt: Prompt
    repeats: int = 1
    limit: int | None = None
    metrics: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes it the same cell as another, however many samples and repeats either has."""
        return self.run, self.model.name, canonical(self.overrides), self.prompt.id


@dataclass(frozen=True, slots=True)
class ExperimentSet:
    """A set in which every name was found. `max_cost` is in US dollars, over all calls; `max_time_s` of one call."""

    name: str
    path: Path | None
    readme: str
    cells: tuple[SetCell, ...]
    notes: tuple[str, ...] = ()
    max_cost: float | None = None
    max_time_s: float | None = None

    @property
    def runs(self) -> dict[str, tuple[SetCell, ...]]:
        """The cells of each run by its name."""
        names = dict.fromkeys(cell.run for cell in self.cells)
        return {name: tuple(cell for cell in self.cells if cell.run == name) for name in names}


def open_set(workspace: Workspace, given: str, *, limit: int | None = None, run: str | None = None) -> ExperimentSet:
    """Read the set `given` (a name below `experiments/` or a path) and find all that it names.

    With `limit` and `run` every cell has these. Raises UsageError or BakeoffError with file and key for the first thing
    that is misspelt, unknown, or does not fit.
    """
    path = find_set(workspace, given)
    file, expanded = _expand(path)
    name = file.name or path.stem
    changes: dict[str, Any] = {**({"limit": limit} if limit else {}), **({"run": run} if run else {})}
    changed = tuple(replace(one, **changes) for one in expanded.experiments)
    finder = _Finder(workspace, path)
    cells, notes = finder.find(Expanded(changed, expanded.notes), is_summed=isinstance(file, EvalapFile))
    return ExperimentSet(name, path, file.readme.strip(), cells, notes, file.max_cost, file.max_time)


def _expand(path: Path) -> tuple[SetFile | EvalapFile, Expanded]:
    data = {key: value for key, value in read_data(path).items() if value is not None and not key.startswith("x-")}
    if not is_payload(data):
        file = parse(data, SetFile, str(path))
        return file, expand(file, path)
    payload = parse(data, EvalapFile, str(path))
    return payload, _located(str(path), lambda: expand_payload(payload, payload.name or path.stem, path))


def _located(where: str, call: Callable[[], Any]) -> Any:
    """Call, and let an error that does not name the file begin with `where`."""
    try:
        return call()
    except BakeoffError as error:
        if str(error).startswith(where.partition(": ")[0]):
            raise
        raise type(error)(f"{where}: {error}") from error


@dataclass(slots=True)
class _Finder:
    workspace: Workspace
    path: Path
    datasets: dict[str, Dataset] = field(default_factory=dict)
    prompts: dict[str, tuple[Prompt, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def find(self, expanded: Expanded, *, is_summed: bool) -> tuple[tuple[SetCell, ...], tuple[str, ...]]:
        """Return the cells of what was expanded, those alike put together, and what is to be told."""
        ones = expanded.experiments
        models = [self._at(one, "model", one.model, partial(find_model, self.workspace, one)) for one in ones]
        refuse_shared_names(ones, models, self.path)
        self._refuse_unknown_params(ones, models)
        self._check_metrics(ones)
        cells = [cell for one, model in zip(ones, models, strict=True) for cell in self._cells(one, model)]
        self._check_runs(cells)
        named = name_cells(_join(cells, is_summed=is_summed))
        refuse_taken_names(named, self.path)
        return named, (*expanded.notes, *dict.fromkeys(self.notes))

    def _at(self, one: Experiment, key: str, value: str, call: Callable[[], Any]) -> Any:
        return _located(f"{self.path}: {one.place(key)}: {key} '{value}'", call)

    def _refuse_unknown_params(self, ones: Sequence[Experiment], models: Sequence[Model]) -> None:
        """Raise UsageError for a common parameter that none of the models has, which is misspelt, or for a secret."""
        for one in ones:
            refuse_secrets({**one.params, **one.own_params}, f"{self.path}: {one.where}")
        if not all(model.params for model in models):
            return
        own = {name for one in ones for name in one.own_params}
        known = own | {name for model in models for name in known_names(model)}
        for one in ones:
            for name in one.params:
                if name not in known:
                    raise UsageError(
                        f"{self.path}: {one.place('params')}: params.{name}: no model of this set has the parameter "
                        f"'{name}'{nearest(name, known)} (one that takes it all the same gets it by its own params)"
                    )

    def _check_metrics(self, ones: Sequence[Experiment]) -> None:
        named = {metric: one for one in reversed(ones) for metric in one.metrics}
        if not named:
            return
        with workspace_metrics(self.workspace, None, lambda _: None) as own:
            for name, one in named.items():
                self._at(one, "metrics", name, partial(own.refuse_unusable, [name]))
                self._at(one, "metrics", name, partial(get_metric, name, own.metrics))

    def _cells(self, one: Experiment, model: Model) -> list[SetCell]:
        if one.dataset not in self.datasets:
            self.datasets[one.dataset] = self._at(
                one, "dataset", one.dataset, lambda: open_dataset(self.workspace, one.dataset)
            )
        dataset = self.datasets[one.dataset]
        run = one.run or dataset.name
        if not is_plain_name(run):
            raise UsageError(f"{self.path}: {one.where}: '{run}' cannot name a run: {RULE}; say another with `run`")
        overrides = self._overrides(one, model)
        where = f"{self.path}: {one.where}: model '{model.name}'"
        _located(where, lambda: refuse_gaps(model, {**model.params, **overrides}))
        _located(where, lambda: refuse_stray_key(model, overrides))
        _located(f"{self.path}: {one.where}", lambda: refuse_other_kinds(model, overrides))
        return [
            SetCell(
                name="",
                run=run,
                dataset=dataset,
                model=model,
                overrides=overrides,
                prompt=prompt,
                repeats=one.repeat,
                limit=one.limit,
                metrics=one.metrics,
                aliases=one.names,
            )
            for prompt in self._prompts(one)
        ]

    def _prompts(self, one: Experiment) -> tuple[Prompt, ...]:
        if isinstance(one.prompt, Prompt):
            return (one.prompt,)
        name = one.prompt
        if name not in self.prompts:
            found = self._at(one, "prompt", name, lambda: load_prompts(self.workspace, [name]))
            self.prompts[name] = found
            self._at(one, "prompt", name, lambda: load_prompts(self.workspace, list(self.prompts)))
        return self.prompts[name]

    def _overrides(self, one: Experiment, model: Model) -> dict[str, Any]:
        """Return what is laid over the model's parameters: of those for all models what it knows, and its own."""
        shared = fitting_overrides(model, one.params)
        left_out = [name for name in one.params if name not in shared and name not in one.own_params]
        if left_out:
            self.notes.append(note_left_out(model, left_out))
        own = one.own_params
        if one.endpoint and model.runner.name == ENDPOINTS:
            own = {**lay_endpoint(model, one), **endpoint_params(own)}
        elif one.endpoint:
            self.notes.append(f"{model.name} is a model of the runner {model.runner.name}: its base_url is not asked")
        seed = {"seed": one.seed} if one.seed is not None and "seed" in model.params else {}
        if one.seed is not None and not seed:
            self.notes.append(f"{model.name} takes no seed: its repeats differ where it does by itself")
        return {**seed, **shared, **own}

    def _check_runs(self, cells: Sequence[SetCell]) -> None:
        about: dict[str, Dataset] = {}
        for cell in cells:
            if about.setdefault(cell.run, cell.dataset).path != cell.dataset.path:
                both = f"{about[cell.run].name} and {cell.dataset.name}"
                raise UsageError(
                    f"{self.path}: run '{cell.run}' would be about two datasets, {both}; a run is about one"
                )


def _join(cells: Sequence[SetCell], *, is_summed: bool) -> list[SetCell]:
    """Put cells together that are the same: the most repeats and samples of them, or the sum of their repeats."""
    joined: dict[tuple[str, str, str, str], SetCell] = {}
    for cell in cells:
        before = joined.get(cell.identity)
        if before is None:
            joined[cell.identity] = cell
            continue
        limits = [before.limit, cell.limit]
        joined[cell.identity] = replace(
            before,
            repeats=before.repeats + cell.repeats if is_summed else max(before.repeats, cell.repeats),
            limit=None if None in limits else max(n for n in limits if n is not None),
            metrics=tuple(dict.fromkeys((*before.metrics, *cell.metrics))),
            aliases=(*before.aliases, *cell.aliases),
        )
    return list(joined.values())


def set_of_order(order: Order, run: str) -> ExperimentSet:
    """Return the set that an order without items comes to, in the run `run`; raise UsageError for a key gone astray."""
    for part in order.parts:
        _located(f"model '{part.model.name}'", partial(refuse_stray_key, part.model, part.overrides))
    cells = [
        SetCell("", run, order.dataset, part.model, dict(part.overrides), prompt, part.repeats, part.limit)
        for part in order.parts
        for prompt in part.prompts
    ]
    return ExperimentSet(run, None, "", name_cells(cells), order.notes)


def asked_runs(
    workspace: Workspace, wanted: ExperimentSet, notify: Callable[[str], None]
) -> dict[str, tuple[SetCell, ...]]:
    """Return the runs of `wanted` that are there, telling of the others; raise UsageError where none is."""
    runs = wanted.runs
    there = {name: cells for name, cells in runs.items() if (workspace.results / name / PLAN_NAME).is_file()}
    if not there and runs:
        raise UsageError(
            f"'{wanted.name}' was not asked yet, there is no run {', '.join(runs)}; "
            f"`bakeoff run {shlex.quote(wanted.path.stem if wanted.path else wanted.name)}` does"
        )
    for name in runs.keys() - there.keys():
        notify(f"'{wanted.name}': its run {name} was not asked yet")
    return there


def metrics_of(cells: Sequence[SetCell]) -> tuple[str, ...]:
    """Return the metrics that `cells` name, each once."""
    return tuple(dict.fromkeys(metric for cell in cells for metric in cell.metrics))


def params_of(cell: SetCell) -> Mapping[str, Any]:
    """Return all parameters that the cell's runner gets."""
    return {**cell.model.params, **cell.overrides}
