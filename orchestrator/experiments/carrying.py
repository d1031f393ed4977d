"""Carry a set out: one call for each of its runs, within what it may cost and how long it may take."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.config import Workspace
from orchestrator.errors import BakeoffError, DiskError, UsageError
from orchestrator.experiments.plan import check_runs, items_of, plan_set
from orchestrator.experiments.resolve import ExperimentSet
from orchestrator.experiments.schema import read_seconds
from orchestrator.running.ceiling import Ceiling
from orchestrator.running.events import Note, Notify
from orchestrator.running.experiment import RunOutcome, carry_out
from orchestrator.running.planning import Order, run_folder


@dataclass(frozen=True, slots=True)
class Stops:
    """What ends a call before all is answered, besides what the set says: US dollars, seconds, failures of a model."""

    max_cost: float | None = None
    max_time_s: float | None = None
    max_failures: int | None = None


def make_stops(max_cost: float | None, max_time: float | str | None, max_failures: int | None) -> Stops:
    """Return the stops that a person gave, the time in seconds or as a text; raise UsageError where it is no time."""
    if max_cost is not None and not max_cost > 0:
        raise UsageError(f"max_cost = {max_cost}: should be more than 0 US dollars")
    try:
        return Stops(max_cost, None if max_time is None else read_seconds(max_time), max_failures)
    except ValueError as error:
        raise UsageError(f"max_time: {error}") from error


@dataclass(frozen=True, slots=True)
class SetOutcome:
    """How a set ended, run by run; `stopped` says which limit ended it."""

    set: ExperimentSet
    runs: tuple[RunOutcome, ...]
    interrupted: bool = False
    is_complete: bool = False
    stopped: str | None = None


def run_set(
    workspace: Workspace,
    wanted: ExperimentSet,
    notify: Notify,
    *,
    stops: Stops | None = None,
    changes: Mapping[str, Any] | None = None,
) -> SetOutcome:
    """Ask what is missing of `wanted`; what fails is told in the outcome, and the rest is finished.

    A limit given in `stops` goes before that of the set; `changes` are further fields of each `Order`. Raises
    UsageError where the set asks nothing or does not fit, before anything is asked; and what `carry_out` raises where
    it does so for every run.
    """
    stops = stops or Stops()
    if not wanted.cells:
        raise UsageError(f"{wanted.path}: asks nothing; give it a grid, or experiments")
    check_runs(workspace, wanted)
    ceiling = make_ceiling(workspace, wanted, stops, notify, fresh=bool((changes or {}).get("fresh")))
    for text in wanted.notes:
        notify(Note(text))
    outcomes: list[RunOutcome] = []
    for order in orders(wanted, stops, ceiling):
        outcomes.append(_carry_out(workspace, replace(order, **(changes or {})), notify))
        if outcomes[-1].interrupted or ceiling.reason or isinstance(outcomes[-1].problem, DiskError):
            break
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    if len(problems) == len(outcomes):
        raise problems[0]
    is_complete = len(outcomes) == len(wanted.runs) and all(outcome.is_complete for outcome in outcomes)
    stopped = None if is_complete else ceiling.describe_end()
    return SetOutcome(wanted, tuple(outcomes), outcomes[-1].interrupted, is_complete, stopped)


def _carry_out(workspace: Workspace, order: Order, notify: Notify) -> RunOutcome:
    """Carry one run of a set out; what it raises is nothing to the others."""
    try:
        return carry_out(workspace, order, notify)
    except BakeoffError as problem:
        notify(Note(str(problem)))
        return RunOutcome(run_folder(workspace, order), (), problem=problem)


def limited(wanted: ExperimentSet, stops: Stops) -> ExperimentSet:
    """Return `wanted` with the limits that `stops` has in place of its own."""
    return replace(
        wanted,
        max_cost=wanted.max_cost if stops.max_cost is None else stops.max_cost,
        max_time_s=wanted.max_time_s if stops.max_time_s is None else stops.max_time_s,
    )


def make_ceiling(
    workspace: Workspace, wanted: ExperimentSet, stops: Stops, notify: Notify, *, fresh: bool = False
) -> Ceiling:
    """Return the limits of a call. What the set's answers cost before counts, but for what `fresh` sets aside."""
    wanted = limited(wanted, stops)
    cost_max, time_max_s = wanted.max_cost, wanted.max_time_s
    if cost_max is None:
        return Ceiling(None, time_max_s)
    plan = plan_set(workspace, wanted, fresh=fresh)
    deaf = dict.fromkeys(cell.cell.model.name for cell in plan.cells if cell.is_priced and cell.cost is None)
    if deaf:
        notify(Note(f"max_cost holds for answers that tell what they cost; unknown as yet: {', '.join(deaf)}"))
    return Ceiling(cost_max, time_max_s, plan.spent, plan.means)


def orders(wanted: ExperimentSet, stops: Stops, ceiling: Ceiling) -> list[Order]:
    """Return one order for each run of the set."""
    return [
        Order(
            models=tuple({cell.model.name: cell.model for cell in cells}.values()),
            dataset=cells[0].dataset,
            prompts=tuple({cell.prompt.sha256: cell.prompt for cell in cells}.values()),
            overrides={},
            run=run,
            max_failures=stops.max_failures,
            items=items_of(cells),
            ceiling=ceiling,
        )
        for run, cells in wanted.runs.items()
    ]
