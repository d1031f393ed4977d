"""The commands about environments: `env build`, `lock`, `list` and `gc`."""

import click

from orchestrator import console
from orchestrator.cli.common import current_workspace
from orchestrator.config import get_runner
from orchestrator.manifest import Runner


@click.group()
def env() -> None:
    """Build, lock, list and clean up the environments of runners.

    \b
    Example:
      bakeoff env build rapidocr
    """


@env.command()
@click.argument("runners", nargs=-1, metavar="[RUNNER]…")
def build(runners: tuple[str, ...]) -> None:
    """Build the environments of RUNNERs, or of all; what is built already is only checked.

    \b
    Example:
      bakeoff env build rapidocr tesseract
    """
    from orchestrator.env import ensure_env  # noqa: PLC0415 - only here

    workspace = current_workspace()
    for runner in _chosen(runners):
        built = ensure_env(workspace, runner, console.status)
        console.say(f"{runner.name}: {built.python}")


@env.command()
@click.argument("runners", nargs=-1, required=True, metavar="RUNNER…")
def lock(runners: tuple[str, ...]) -> None:
    """Pin the versions and hashes of everything that RUNNERs need into their requirements.lock.

    \b
    Example:
      bakeoff env lock my_model
    """
    from orchestrator.env import lock_runner  # noqa: PLC0415 - only here

    workspace = current_workspace()
    for runner in _chosen(runners):
        console.say(str(lock_runner(workspace, runner)))


@env.command("list")
def show() -> None:
    """Show the environments that are built: runner, size, when built and used, whether still current.

    \b
    Example:
      bakeoff env list
    """
    from orchestrator.env import list_envs  # noqa: PLC0415 - only here

    for info in list_envs(current_workspace()):
        state = "current" if info.is_current else "old"
        used = f"{info.last_used_at:%Y-%m-%d}"
        console.say(f"{info.runner:<20} {info.size_bytes / 1e6:8.0f} MB  used {used}  {state:<8} {info.folder}")


@env.command()
@click.option("--older", default=30, type=click.IntRange(min=0), metavar="DAYS", help="Not used for so long.")
def gc(older: int) -> None:
    """Delete environments that no runner needs any more and that were not used for a while.

    \b
    Example:
      bakeoff env gc --older 7
    """
    from orchestrator.env import collect_garbage  # noqa: PLC0415 - only here

    gone = collect_garbage(current_workspace(), older)
    for info in gone:
        console.say(f"deleted {info.folder}")
    console.status(f"{len(gone)} environments deleted, {sum(info.size_bytes for info in gone) / 1e6:.0f} MB freed")


def _chosen(names: tuple[str, ...]) -> list[Runner]:
    workspace = current_workspace()
    return [get_runner(workspace, name) for name in names] or list(workspace.discovery.runners.values())
