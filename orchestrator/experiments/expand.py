"""Expand a set to its experiments: the grid's product first, then the explicit ones, each once a prompt."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import BakeoffError, UsageError, nearest
from orchestrator.experiments.merging import CELLS_MAX, is_range, merge_deep, merge_shallow, nest, read_range
from orchestrator.experiments.schema import Fragment, SetFile, check_fragment, read_fragment
from orchestrator.identity import canonical
from orchestrator.parsing import parse
from orchestrator.prompt import Prompt

_EXCLUDED_BY = ("model", "dataset", "prompt", "limit", "repeat", "run", "seed")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is asked that the workspace need not know: an address, its name there, the variable of its key."""

    base_url: str
    model: str
    api_key_env: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """One cell of a set as the file says it: `params` are for every model, `own_params` this model's in this set.

    `where` is its place in the file, for keys other than the `inherited`, which are in `common`; `names` are those that
    the file gives it, of EvalAP's one for each repeat.
    """

    where: str
    model: str
    dataset: str
    prompt: str | Prompt
    params: dict[str, Any] = field(default_factory=dict)
    own_params: dict[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    limit: int | None = None
    repeat: int = 1
    run: str | None = None
    seed: int | None = None
    names: tuple[str, ...] = ()
    endpoint: Endpoint | None = None
    inherited: frozenset[str] = frozenset()

    def place(self, key: str) -> str:
        """Return where in the file `key` of it stands."""
        return "common" if self.inherited & {key, f"{key}s"} else self.where


@dataclass(frozen=True, slots=True)
class Expanded:
    """The experiments of a file, and what its reader should be told."""

    experiments: tuple[Experiment, ...]
    notes: tuple[str, ...] = ()


def expand(file: SetFile, path: Path) -> Expanded:
    """Return the experiments of `file`: of the grid the last key varies fastest; raise BakeoffError for a defect."""
    file = file.model_copy(update={"common": read_fragment(file.common, path, "common")})
    merge = merge_deep if file.merge == "deep" else merge_shallow
    excluded = [_read_exclusion(rule, f"{path}: exclude[{n}]") for n, rule in enumerate(file.exclude)]
    used: set[int] = set()
    found: list[Experiment] = []
    for where, cell in _grid_cells(file, path, merge):
        for each in _read_cell(cell, file, path, where, {key.partition(".")[0] for key in file.grid}):
            by = [n for n, rule in enumerate(excluded) if _matches(each, rule)]
            used.update(by)
            if not by:
                found.append(each)
    if excluded and not found:
        raise UsageError(f"{path}: exclude leaves nothing of the grid")
    for number, given in enumerate(file.experiments):
        where = f"experiments[{number}]"
        overlay = read_fragment(given, path, where)
        found += _read_cell(merge(file.common, overlay), file, path, where, set(overlay))
    refuse_many(len(found), path)
    listed = enumerate(file.experiments)
    refuse_twins([(f"experiments[{n}]", given["name"]) for n, given in listed if given.get("name")], path)
    short = [sentence for key, values in file.grid.items() if (sentence := _tell_end(key, values))]
    idle = [f"exclude[{n}] leaves nothing out: no cell of the grid is like it" for n in range(len(excluded))]
    return Expanded(tuple(found), (*short, *(sentence for n, sentence in enumerate(idle) if n not in used)))


def _grid_cells(file: SetFile, path: Path, merge: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where it is from and what it says for each cell of the grid; without a grid and a list it is `common`."""
    if not file.grid:
        if not file.experiments and file.common:
            yield "common", dict(file.common)
        return
    axes = [[(key, value) for value in _read_axis(key, values, path)] for key, values in file.grid.items()]
    refuse_many(math.prod(map(len, axes)), path)
    for chosen in itertools.product(*axes):
        cell = dict(file.common)
        for key, value in chosen:
            cell = merge(cell, nest(key, value))
        yield "grid", cell


def refuse_many(size: int, path: Path) -> None:
    """Raise UsageError for more cells than a set may have."""
    if size > CELLS_MAX:
        raise UsageError(f"{path}: makes {size:,} cells, more than {CELLS_MAX:,}; shorten the lists of its grid")


def refuse_twins(named: Iterable[tuple[str, str]], path: Path) -> None:
    """Raise UsageError where two of the places, each with a name, have the same one."""
    first: dict[str, str] = {}
    for where, name in named:
        if first.setdefault(name, where) != where:
            raise UsageError(f"{path}: {where}: the name '{name}' is that of {first[name]} already; give it another")


def _tell_end(key: str, values: Any) -> str | None:
    """Return a sentence on a range whose steps do not meet its end."""
    last = read_range(values)[-1] if is_range(values) else None
    if last is None or last == values["to"]:
        return None
    return f"grid.{key}: the range ends at {last}, its next value is beyond {values['to']}"


def _read_axis(key: str, values: Any, path: Path) -> list[Any]:
    where = f"grid.{key}"
    if is_range(values):
        try:
            values = read_range(values)
        except ValueError as error:
            raise BakeoffError(f"{path}: {where}: {error}") from error
    if values == []:
        raise BakeoffError(f"{path}: {where}: is empty, so that there is no cell; give it a value, or take it out")
    if not isinstance(values, list):
        raise BakeoffError(
            f"{path}: {where}: should be a list of values, or a range such as {{from: 0, to: 1, step: 0.5}}"
        )
    for number, value in enumerate(values):
        read_fragment({key: value}, path, f"{where}[{number}]")
    return values


def _read_cell(cell: Mapping[str, Any], file: SetFile, path: Path, where: str, said: set[str]) -> list[Experiment]:
    """Return the experiments of a merged cell, one for each of its prompts; of its keys `said` are not of `common`."""
    check_fragment(cell, path, where)
    one = parse(cell, Fragment, f"{path}: {where}")
    table: dict[str, Any] = {"name": one.model} if isinstance(one.model, str) else one.model or {}
    for key, value in (("model", table.get("name")), ("dataset", one.dataset)):
        if not value:
            remedy = "say it there" if where == "common" else "say it there or in common"
            more = ", or in a grid" if where == "common" else ""
            raise UsageError(f"{path}: {where}: says no {key}; {remedy}{more}")
    prompts = (one.prompts,) if isinstance(one.prompts, str) else one.prompts or (one.prompt or "question",)
    return [
        Experiment(
            where=where,
            model=table["name"],
            dataset=str(one.dataset),
            prompt=prompt,
            params=one.params,
            own_params=table.get("params", {}),
            metrics=one.metrics or (),
            limit=one.limit,
            repeat=one.repeat or file.repeat,
            run=one.run or file.run,
            seed=file.seed if one.seed is None else one.seed,
            inherited=frozenset(file.common.keys() - said),
            names=(one.name if len(prompts) == 1 else f"{one.name} / {prompt}",) if one.name else (),
        )
        for prompt in prompts
    ]


def _read_exclusion(rule: Mapping[str, Any], where: str) -> dict[str, set[str]]:
    """Return by dotted key what a rule is about, of a list each value or the whole; raise BakeoffError for a defect."""
    if not rule:
        raise BakeoffError(f"{where}: is empty, and would leave everything out")
    flat = _flatten(rule)
    if {} in (flat.get("params"), flat.get("model")):
        raise BakeoffError(f"{where}: has an empty table, which is about nothing; say a parameter or take it out")
    for key in flat:
        if key not in _EXCLUDED_BY and not key.startswith("params."):
            known = nearest(key, (*_EXCLUDED_BY, "params"))
            raise BakeoffError(f"{where}: unknown key '{key}'{known}")
    listed = {key: [*value, value] if isinstance(value, list) else [value] for key, value in flat.items()}
    return {key: {_sameness(value) for value in values} for key, values in listed.items()}


def _sameness(value: Any) -> str:
    """Return a text that is the same for the same value: 1 and 1.0 are, and neither is `true`."""
    is_whole = isinstance(value, float) and value.is_integer()
    return canonical(int(value) if is_whole else value)


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}".removeprefix("model.") if f"{prefix}{key}" != "model.name" else "model"
        flat |= _flatten(value, f"{path}.") if isinstance(value, Mapping) and value else {path: value}
    return flat


def _matches(one: Experiment, rule: Mapping[str, set[str]]) -> bool:
    facts = {key: getattr(one, key) for key in _EXCLUDED_BY}
    facts |= _flatten({"params": {**one.params, **one.own_params}})
    return all(key in facts and _sameness(facts[key]) in values for key, values in rule.items())
