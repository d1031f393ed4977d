"""The commands about runners: `runner new` and `runner check`."""

import click

from orchestrator import console
from orchestrator.cli.common import current_workspace
from orchestrator.config import Model, Workspace, get_runner, list_models
from orchestrator.errors import ModelFailedError


@click.group()
def runner() -> None:
    """Add a runner, or prove one.

    \b
    Example:
      bakeoff runner new my_model
      bakeoff runner check my_model
    """


@runner.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a runner folder that works as it is, to put your model into.

    \b
    Example:
      bakeoff runner new my_model
    """
    from orchestrator.scaffold import new_runner  # noqa: PLC0415 - only here

    made = new_runner(current_workspace(), name)
    console.status(f"{made.folder} is a runner now: edit runner.py and requirements.txt, then")
    click.echo(f"bakeoff runner check {name}")


@runner.command()
@click.argument("name")
def check(name: str) -> int:
    """Prove a runner against the contract: it builds, loads, answers and ends. NAME may also be a model.

    \b
    Example:
      bakeoff runner check echo
    """
    from orchestrator.running.runner_check import check_runner  # noqa: PLC0415 - only here

    workspace = current_workspace()
    is_well = True
    for finding in check_runner(workspace, _model_of(workspace, name), console.status):
        click.echo(f"{'!!' if finding.problem else 'ok'}  {finding.what}: {console.printable(finding.state)}")
        if finding.problem:
            is_well = False
            click.echo(f"      {console.printable(finding.problem)}")
    return 0 if is_well else ModelFailedError.exit_code


def _model_of(workspace: Workspace, name: str) -> Model:
    """Return the model called `name`, else the first model of the runner called so."""
    models = list_models(workspace)
    if name in models:
        return models[name]
    found = get_runner(workspace, name)
    return next(model for model in models.values() if model.runner.name == found.name)
