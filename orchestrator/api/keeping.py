"""What a workspace holds: runs, models, runners, and what is missing."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orchestrator import config, doctor, inspection, scaffold
from orchestrator.api.places import Place, ignore, open_place
from orchestrator.config import Model, get_runner
from orchestrator.findings import Finding
from orchestrator.inspection import Check, Cleaning, RunLine, RunState
from orchestrator.manifest import Runner
from orchestrator.running import runner_check


def list_runs(workspace: Place = None) -> list[RunLine]:
    """Return every run in short; a damaged one says so."""
    return inspection.list_runs(open_place(workspace))


def show_run(run: Path | str, *, samples_max: int | None = 3, workspace: Place = None) -> RunState:
    """Return what `run` was asked, what is stale, what is missing and why, with `samples_max` samples a reason."""
    return inspection.show_run(inspection.find_run(run, open_place(workspace).results), samples_max)


def verify_run(run: Path | str, workspace: Place = None) -> list[Check]:
    """Read every byte of `run` and return what was looked at; those with a `damage` are damaged."""
    return inspection.verify_run(inspection.find_run(run, open_place(workspace).results))


def clean_run(run: Path | str, *, everything: bool = False, dry_run: bool = False, workspace: Place = None) -> Cleaning:
    """Delete what nobody needs of `run`; with `everything`, what was set aside as well."""
    found = inspection.find_run(run, open_place(workspace).results)
    return inspection.clean_run(found, everything=everything, dry_run=dry_run)


def drop_cells(
    run: Path | str, cells: Sequence[str], *, dry_run: bool = False, workspace: Place = None
) -> tuple[str, ...]:
    """Take `cells` out of what `run` was asked, named as in reports, or all of a model; their answers stay."""
    return inspection.drop_cells(inspection.find_run(run, open_place(workspace).results), cells, dry_run=dry_run)


def init_workspace(folder: Path | str = ".") -> Path:
    """Make `folder` a workspace with the built-in prompts and the tiny dataset; return its path."""
    return scaffold.init_workspace(Path(folder))


def list_models(workspace: Place = None) -> dict[str, Model]:
    """Return every usable model by name."""
    return config.list_models(open_place(workspace))


def examine(workspace: Place = None) -> list[Finding]:
    """Return what `bakeoff doctor` finds."""
    return list(doctor.examine(open_place(workspace)))


def new_runner(name: str, workspace: Place = None) -> Runner:
    """Write a runner folder that works as it is."""
    return scaffold.new_runner(open_place(workspace), name)


def check_runner(name: str, workspace: Place = None, notify: Callable[[str], None] | None = None) -> Iterator[Finding]:
    """Prove the runner or model called `name` against the contract, finding by finding."""
    opened = open_place(workspace)
    models = config.list_models(opened)
    found = models.get(name)
    if found is None:
        runner = get_runner(opened, name)
        found = next(model for model in models.values() if model.runner.name == runner.name)
    return runner_check.check_runner(opened, found, notify or ignore)
