"""The commands that set things up: `init` and `doctor`."""

import shlex
from pathlib import Path

import click

from orchestrator import console
from orchestrator.cli.common import current_workspace


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a workspace: settings, prompts, a tiny dataset, and room for your own runners.

    \b
    Example:
      bakeoff init my-benchmark
    """
    from orchestrator.scaffold import init_workspace  # noqa: PLC0415 - only here

    root = init_workspace(folder)
    place = "" if root == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    console.status(f"{root} is a workspace now; next:")
    console.say(f"{place}bakeoff run --model rapidocr --dataset tiny-docs")


@click.command()
def doctor() -> int:
    """Look for what is missing here, and say how to mend it.

    \b
    Example:
      bakeoff doctor
    """
    from orchestrator.doctor import examine  # noqa: PLC0415 - only here

    is_well = True
    for finding in examine(current_workspace()):
        console.say(f"{'!!' if finding.problem else 'ok'}  {finding.what}: {finding.state}")
        if finding.problem:
            is_well = False
            console.say(f"      {finding.problem}")
    return 0 if is_well else 1
