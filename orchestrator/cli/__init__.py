"""The command line: parse, call one function, map an error to an exit code."""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from orchestrator import __version__
from orchestrator.errors import BakeoffError

INTERRUPTED, BUG = 130, 70

# Where each command lives; a module is imported when its command is used, so that `--help` answers at once.
_COMMANDS = {
    "init": "orchestrator.cli.setup:init",
    "doctor": "orchestrator.cli.setup:doctor",
    "list": "orchestrator.cli.listing:listing",
    "env": "orchestrator.cli.env:env",
    "runner": "orchestrator.cli.runner:runner",
    "dataset": "orchestrator.cli.dataset:dataset",
    "predictions": "orchestrator.cli.predictions:predictions",
    "try": "orchestrator.cli.running:first_look",
    "run": "orchestrator.cli.running:run",
    "experiments": "orchestrator.cli.experiments:experiments",
    "score": "orchestrator.cli.scoring:score",
    "report": "orchestrator.cli.scoring:report",
    "leaderboard": "orchestrator.cli.leaderboard:leaderboard",
    "compare": "orchestrator.cli.comparing:compare",
    "export": "orchestrator.cli.export:export",
    "runs": "orchestrator.cli.runs:runs",
}


class _LazyGroup(click.Group):
    """A group that knows its commands' names and imports one when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where there is none of that name."""
        from orchestrator.errors import nearest  # noqa: PLC0415 - not needed when all is well

        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"there is no command '{args[0]}'{nearest(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)


class _NoPandas:
    """Find no pandas for pyarrow, which imports it at its first array: 0.35 s, and no command has use for it.

    Compiled code has no frame, so the import seems to come from our own module; others' modules find theirs.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:  # noqa: ARG004 - the protocol's
        if name == "pandas":
            frame = sys._getframe(1)  # noqa: SLF001 - inspect's way to it takes longer than the import
            while frame.f_back and frame.f_globals["__name__"].startswith("importlib."):
                frame = frame.f_back
            if frame.f_globals["__name__"].startswith("orchestrator."):
                raise ModuleNotFoundError(name=name)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bakeoff")
@click.option("--workspace", metavar="DIR", help="The workspace; default: the nearest bakeoff.toml upwards.")
@click.pass_context
def cli(context: click.Context, workspace: str | None) -> None:
    """Hold a bake-off between vision-language models.

    Every model runs in its own environment, every answer lands in one Parquet file per model, every score comes with
    its error bar.

    \b
    Example:
      bakeoff run --model rapidocr --prompt question --dataset tiny-docs
      bakeoff score tiny-docs
      bakeoff report tiny-docs
    """
    context.obj = workspace


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.meta_path.insert(0, _NoPandas)
    sys.exit(_call(arguments))


def _call(arguments: Sequence[str] | None) -> int:
    from orchestrator import console  # noqa: PLC0415 - after click has had its say

    try:
        result = cli.main(args=arguments, prog_name="bakeoff", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        console.status("interrupted")
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BakeoffError as error:
        console.error(str(error))
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the one place where a bug becomes a message
        console.error(_describe_bug(error))
        return BUG
    return result if isinstance(result, int) else 0


def _describe_bug(error: Exception) -> str:
    """Write the traceback to a file and return the sentence that names it."""
    import tempfile  # noqa: PLC0415 - only for a bug
    import traceback  # noqa: PLC0415 - only for a bug

    with tempfile.NamedTemporaryFile("w", prefix="bakeoff-bug-", suffix=".log", delete=False) as file:
        file.write(f"bakeoff {__version__}, Python {sys.version}, {sys.platform}\n")
        traceback.print_exception(error, file=file)
    return f"this is a bug in bakeoff ({type(error).__name__}: {error}); please report it with {file.name}"
