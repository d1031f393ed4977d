"""What two runs' cells were made of, where that differs: code, environment, parameters, prompt, the model served."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from orchestrator.results.plan import IMPORTED, Cell, EnvRecord, RunPlan, read_plan
from orchestrator.results.view import read_predictions
from orchestrator.scoring.cell_name import CellName

_SHOWN = 5
_LONGEST = 60


def tell_origins(first: Path, second: Path, pairs: Sequence[tuple[CellName, CellName]]) -> tuple[str, ...]:
    """Return sentences that say what differs between each two cells, and between the runs; nothing of one run.

    Of one model in both runs all is told that may have changed its answers, or that nothing of it did; of two models,
    which differ anyway, whether they were asked the same way.
    """
    if first == second:
        return ()
    plans = read_plan(first), read_plan(second)
    told: dict[str, list[str]] = {}
    for one, other in pairs:
        text = "; ".join(_differences((first, second), plans, (one, other)))
        name = one.text if one.text == other.text else f"{one.text} -> {other.text}"
        told.setdefault(text or _nothing(one, other), []).append(name)
    return (*_of_runs(*plans), *(f"{_listed(names)}: {text}." for text, names in told.items() if text))


def _of_runs(one: RunPlan, other: RunPlan) -> Iterator[str]:
    if one.dataset != other.dataset:
        yield f"The datasets are called {one.dataset} and {other.dataset}; samples were matched by id."
    versions = [_version(plan) for plan in (one, other)]
    if versions[0] != versions[1]:
        yield f"The runs were begun by bakeoff {versions[0]} and {versions[1]}."


def _version(plan: RunPlan) -> str:
    return plan.bakeoff_version + (f" (workspace commit {plan.git_commit[:10]})" if plan.git_commit else "")


def _nothing(one: CellName, other: CellName) -> str:
    is_same = one.model == other.model
    return "the same runner, environment, parameters and prompt in both" if is_same else ""


def _differences(
    runs: tuple[Path, Path], plans: tuple[RunPlan, RunPlan], names: tuple[CellName, CellName]
) -> Iterator[str]:
    one, other = (_cell(plan, name) for plan, name in zip(plans, names, strict=True))
    if one is None or other is None:
        return
    if one.model == other.model:
        yield from _of_model(one, other)
        envs = plans[0].envs.get(one.runner), plans[1].envs.get(other.runner)
        yield from _of_envs(*envs)
        yield from _of_served(*(_served(run, cell.model) for run, cell in zip(runs, (one, other), strict=True)))
    if one.prompt == other.prompt and one.prompt_sha256 != other.prompt_sha256:
        yield f"the prompt {one.prompt} has another text"
    if one.repeats != other.repeats:
        yield f"asked {one.repeats} and {other.repeats} times"


def _cell(plan: RunPlan, name: CellName) -> Cell | None:
    wanted = (name.model, name.params, name.prompt)
    return next((cell for cell in plan.cells if cell.name == wanted), None)


def _of_model(one: Cell, other: Cell) -> Iterator[str]:
    if IMPORTED in {one.runner, other.runner}:
        yield "the answers were imported, so that nothing is known of what made them"
    elif one.runner != other.runner:
        yield f"runner {one.runner} -> {other.runner}"
    elif one.runner_digest != other.runner_digest:
        yield "the runner's code or lock changed"
    yield from _changed({**one.params}, {**other.params})


def _of_envs(one: EnvRecord | None, other: EnvRecord | None) -> Iterator[str]:
    if one is None or other is None or one.fingerprint == other.fingerprint:
        return
    changed = list(_changed({"Python": one.python, **one.packages}, {"Python": other.python, **other.packages}))
    shown = ", ".join(changed[:_SHOWN]) + (f" and {len(changed) - _SHOWN} packages more" * (len(changed) > _SHOWN))
    yield f"another environment{': ' if changed else ''}{shown}"


def _of_served(one: set[str], other: set[str]) -> Iterator[str]:
    if one != other and one and other:
        yield f"served by {', '.join(sorted(one))} -> {', '.join(sorted(other))}"


def _served(run: Path, model: str) -> set[str]:
    """Return what an API says that it served, of all cells of the model."""
    found: set[str] = set()
    for batch in read_predictions(run, model, ["served_model"]):
        found.update(batch["served_model"].drop_null().unique().to_pylist())
    return found


def _changed(before: dict[str, object], after: dict[str, object]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        if name not in before:
            yield f"{name} {_short(after[name])} is new"
        elif name not in after:
            yield f"{name} {_short(before[name])} is gone"
        elif before[name] != after[name]:
            yield f"{name} {_short(before[name])} -> {_short(after[name])}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(islice(names, _SHOWN))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
