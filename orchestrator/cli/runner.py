"""The commands about runners: `runner new` and `runner check`."""

import textwrap

import click

from orchestrator import console
from orchestrator.cli.common import current_workspace
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
    console.say(f"bakeoff runner check {name}")


@runner.command()
@click.argument("name")
def check(name: str) -> int:
    """Prove a runner against the contract: it builds, loads, answers and ends. NAME may also be a model.

    \b
    Example:
      bakeoff runner check echo
    """
    from orchestrator import api  # noqa: PLC0415 - only here

    is_well = True
    for finding in api.check_runner(name, current_workspace(), console.status):
        console.say(f"{'!!' if finding.problem else 'ok'}  {finding.what}: {finding.state}")
        if finding.problem:
            is_well = False
            console.say(textwrap.indent(finding.problem, "      "))
    return 0 if is_well else ModelFailedError.exit_code
