"""The commands that make datasets and look at them."""

import inspect
from typing import Any

import click
from pydantic.fields import FieldInfo

from orchestrator import console
from orchestrator.cli.common import current_workspace, shown_path

_PROBLEMS_TOLD = 5


@click.group()
def dataset() -> None:
    """Make datasets of what you have, and look at them."""


class _Kinds(click.Group):
    """A command per kind of source; its options are those of the kind."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        from orchestrator.importing import KINDS  # noqa: PLC0415 - only when it is used

        return list(KINDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        from orchestrator.importing import KINDS, load_kind  # noqa: PLC0415 - as above

        return _import_command(cmd_name, load_kind(cmd_name)) if cmd_name in KINDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest kind where there is none of that name."""
        from orchestrator.errors import nearest  # noqa: PLC0415 - not needed when all is well

        kinds = self.list_commands(ctx)
        if args and args[0] not in kinds and not args[0].startswith("-"):
            ctx.fail(f"there is no kind '{args[0]}'{nearest(args[0], kinds)}; there are {', '.join(kinds)}")
        return super().resolve_command(ctx, args)


@dataset.command("import", cls=_Kinds)
def import_() -> None:
    """Make datasets/NAME of SOURCE, which is of a KIND.

    \b
    Example:
      bakeoff dataset import text-pairs scans/ letters
    """


def _import_command(kind: str, module: Any) -> click.Command:
    def carry_out(source: str, name: str, *, replace: bool, **options: Any) -> int:
        from orchestrator import api  # noqa: PLC0415 - brings pyarrow in, which --help does without

        given = {key: value for key, value in options.items() if value not in (None, ())}
        workspace = current_workspace()
        outcome = api.import_dataset(
            kind, source, name, options=given, replace=replace, workspace=workspace, notify=console.status
        )
        told = f"{outcome.rows} questions about {outcome.images} images"
        console.status(f"{shown_path(outcome.folder)}: {told}; next: bakeoff run --model rapidocr --dataset {name}")
        for problem in outcome.problems[:_PROBLEMS_TOLD]:
            console.status(f"not imported: {problem.what}: {problem.reason}")
        if outcome.problems:
            path = shown_path(outcome.folder / "problems.csv")
            console.status(f"{len(outcome.problems)} could not be imported, with reasons in {path}")
        return 1 if outcome.problems else 0

    params: list[click.Parameter] = [
        click.Argument(["source"]),
        click.Argument(["name"]),
        click.Option(["--replace"], is_flag=True, help="Replace a dataset of that name."),
        *(_option(name, field) for name, field in module.Options.model_fields.items()),
    ]
    return click.Command(kind, callback=carry_out, params=params, help=inspect.getdoc(module))


def _option(name: str, field: FieldInfo) -> click.Option:
    """Return a field as an option; pydantic checks its value, so that it is a text here."""
    flag = f"--{name.replace('_', '-')}"
    if field.annotation is bool:
        return click.Option([flag], is_flag=True, default=None, help=field.description)
    is_many = getattr(field.annotation, "__origin__", None) is tuple
    shown = None if is_many or field.default in (None, "") else str(field.default)
    return click.Option([flag], multiple=is_many, metavar="TEXT", help=field.description, show_default=shown or False)
