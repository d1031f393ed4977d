"""What belongs to experiment sets: the plan and the end of `run SET`, and the commands below `experiments`."""

from typing import TYPE_CHECKING

import click

from orchestrator import console
from orchestrator.cli.common import current_workspace, shown_path

if TYPE_CHECKING:
    from orchestrator.experiments import PlannedCell, SetPlan
    from orchestrator.reporting.tabular import Table

UNKNOWN, FREE = "unknown", "-"
_ALIASES_SHOWN = 2


@click.group()
def experiments() -> None:
    """Score the runs of an experiment set, or name them; `bakeoff run SET` carries one out."""


@experiments.command()
@click.argument("given", metavar="SET")
@click.option("--drop-others", is_flag=True, help="First take out of the runs what is not in SET; answers stay.")
def score(given: str, drop_others: bool) -> None:
    """Score the runs of SET, a name below experiments/ or a path, by the metrics that it names.

    Cells of its runs that are not in SET are named. They are scored with the rest, unless they are dropped.

    \b
    Example:
      bakeoff experiments score smoke
    """
    from orchestrator import api  # noqa: PLC0415 - brings pyarrow in, which --help does without

    for folder in api.score_set(given, drop_others=drop_others, workspace=current_workspace(), notify=console.status):
        console.status(f"scores are in {shown_path(folder)}; next: bakeoff report {folder.name}")


@experiments.command()
@click.argument("given", metavar="SET")
def runs(given: str) -> None:
    """Show the names of the runs that hold the answers to SET, one a line.

    \b
    Example:
      bakeoff report $(bakeoff experiments runs smoke)
    """
    from orchestrator import api  # noqa: PLC0415 - see score

    for name in api.open_set(given, workspace=current_workspace()).runs:
        console.say(name)


def show_plan(plan: "SetPlan") -> None:
    """Show what would be asked as a table on stdout."""
    for note in plan.notes:
        console.status(note)
    console.print_table(plan_table(plan))


def plan_table(plan: "SetPlan") -> "Table":
    """Return the plan with a row for each cell, and the sums below it."""
    from orchestrator.reporting.tabular import Table  # noqa: PLC0415 - see score

    runs = plan.set.runs
    aliases = any(cell.cell.aliases != (cell.cell.name,) and cell.cell.aliases for cell in plan.cells)
    header = ("cell", *(("named",) if aliases else ()), *(("run",) if len(runs) > 1 else ()))
    rows = tuple(
        (
            planned.cell.name,
            *((_aliases(planned.cell.aliases),) if aliases else ()),
            *((planned.cell.run,) if len(runs) > 1 else ()),
            f"{planned.total:,}",
            f"{planned.there:,}",
            f"{planned.to_ask:,}",
            UNKNOWN if planned.seconds is None else console.duration(planned.seconds) if planned.to_ask else "",
            _cost(planned),
        )
        for planned in plan.cells
    )
    figures = ("requests", "there", "to ask", "time", "cost")
    where = ", ".join(f"{name} ({cells[0].dataset.name})" for name, cells in runs.items())
    title = f"{plan.set.name}: {len(rows)} cell{'s' * (len(rows) != 1)} in {where or 'no run'}"
    return Table(title, (*header, *figures), rows, len(header), tuple(_sums(plan)))


def _aliases(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= _ALIASES_SHOWN else f"{names[0]} … {names[-1]}"


def _cost(planned: "PlannedCell") -> str:
    if not planned.to_ask:
        return ""
    if planned.cost is not None:
        return _dollars(planned.cost)
    return UNKNOWN if planned.is_priced else FREE


def _sums(plan: "SetPlan") -> list[str]:
    """Return sentences on all cells together, which say what they leave out."""
    left = [cell for cell in plan.cells if cell.to_ask]
    if not plan.cells:
        return ["the set asks nothing; give it a grid, or experiments"]
    if not left:
        return [*_tell_shared(plan), "nothing is missing: the same command without --dry-run asks nothing"]
    no_time = sum(cell.seconds is None for cell in left)
    no_cost = sum(cell.cost is None and cell.is_priced for cell in left)
    cost = sum(cell.cost or 0.0 for cell in left)
    sums = [
        *_tell_shared(plan),
        *_tell_lacks(plan),
        f"to ask: {plan.to_ask:,} requests; time: {_time(plan)}{_without(no_time, len(left))}",
    ]
    if cost or no_cost:
        shown = f"{_dollars(cost)}{_without(no_cost, len(left))}" if cost else UNKNOWN
        sums.append(f"cost: {shown}; spent before: {_dollars(plan.spent)}")
    if plan.set.max_cost is not None:
        sums.append(f"max_cost: {_dollars(plan.set.max_cost)}, with what was spent before")
    if plan.set.max_time_s is not None:
        sums.append(f"max_time: {console.duration(plan.set.max_time_s)}")
    return sums


def _tell_shared(plan: "SetPlan") -> list[str]:
    """Say why cells have fewer requests of their own than they have in all."""
    shared = [cell for cell in plan.cells if cell.shared]
    if not shared:
        return []
    deaf = dict.fromkeys(cell.cell.model.name for cell in shared if cell.cell.model.runner.manifest.ignores_prompt)
    why = f"; {', '.join(deaf)} {'reads' if len(deaf) == 1 else 'read'} the page whatever the prompt" if deaf else ""
    count, cells = sum(cell.shared for cell in shared), f"{len(shared)} cell{'s' * (len(shared) != 1)}"
    return [f"{count:,} requests of {cells} are the same as those of a cell above, and asked once{why}"]


def _tell_lacks(plan: "SetPlan") -> list[str]:
    """Say which models cannot be asked as things are, each reason once."""
    models: dict[str, dict[str, None]] = {}
    for cell in plan.cells:
        if cell.lacks:
            models.setdefault(cell.lacks, {})[cell.cell.model.name] = None
    return [f"{', '.join(names)} will fail: {why}" for why, names in models.items()]


def _time(plan: "SetPlan") -> str:
    """Say how long the slowest model takes, and all of them: how many run side by side is for the machine to say."""
    by_model = plan.model_seconds
    if not by_model:
        return UNKNOWN
    longest = max(by_model, key=by_model.__getitem__)
    whole = f"{console.duration(sum(by_model.values()))}, loading not counted"
    slowest = console.duration(by_model[longest])
    if len(by_model) == 1 or slowest == console.duration(sum(by_model.values())):
        return whole
    return f"{slowest} ({longest}) if all models run side by side, one by one {whole}"


def _without(unknown: int, count: int) -> str:
    return f" (without {unknown} of {count} cells, of which nothing is known yet)" if 0 < unknown < count else ""


def _dollars(cost: float) -> str:
    return f"${cost:,.2f}" if cost >= 1 or not cost else f"${cost:.4f}" if cost >= 0.0001 else f"${cost:.2g}"  # noqa: PLR2004
