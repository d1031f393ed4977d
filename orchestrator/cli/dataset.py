"""The commands that make datasets and look at them."""

import inspect
import json
from pathlib import Path
from typing import Any

import click
from pydantic.fields import FieldInfo

from orchestrator import console
from orchestrator.cli.common import current_workspace, shown_path
from orchestrator.config import CONFIG_NAME
from orchestrator.errors import UsageError

_PROBLEMS_TOLD = 5
_EXAMPLES = 3


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
        model = "rapidocr" if outcome.images else "MODEL"  # an OCR engine has nothing to read in texts alone
        console.status(f"{shown_path(outcome.folder)}: {told}; next: bakeoff run --model {model} --dataset {name}")
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
    shown = "" if is_many or field.default in (None, "") else f"  [default: {field.default}]"
    return click.Option([flag], multiple=is_many, metavar="TEXT", help=f"{field.description}{shown}")


@dataset.command()
@click.argument("name")
@click.option("--headers-only", is_flag=True, help="Do not decode the images: quicker, and some damage stays unseen.")
@click.option("--all", "everything", is_flag=True, help="Show every complaint, not only the first of each kind.")
def check(name: str, *, headers_only: bool, everything: bool) -> int:
    """Look at every sample of a dataset, NAME or path: what is missing, broken, twice, or likely not meant.

    The exit code is 1 where a sample cannot be asked as it should, 0 where there are warnings only.

    \b
    Example:
      bakeoff dataset check receipts
    """
    from orchestrator import api  # noqa: PLC0415 - brings pyarrow in, which --help does without
    from orchestrator.tending.check import ERRORS, WARNINGS  # noqa: PLC0415 - as above

    found = api.check_dataset(name, decode=not headers_only, workspace=current_workspace(), notify=console.status)
    for kind in (kind for kind in (*ERRORS, *WARNINGS) if found.counts[kind]):
        mark, complaints = "!!" if kind in ERRORS else " !", found.complaints[kind]
        console.say(f"{mark}  {kind}: {found.counts[kind]}")
        for complaint in complaints if everything else complaints[:_EXAMPLES]:
            console.say(f"      {complaint.sample}: {complaint.sentence}")
        if everything and found.counts[kind] > len(complaints):
            console.say(f"      and {found.counts[kind] - len(complaints)} more")
    warned = found.counts.total() - found.errors
    console.say(f"{found.samples} samples, {found.images} images: {found.errors} errors, {warned} warnings")
    return 1 if found.errors else 0


@dataset.command("fix-paths")
@click.argument("name")
@click.option("--root", required=True, type=click.Path(path_type=Path), help="Where the images are now.")
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
def fix_paths(name: str, root: Path, *, dry_run: bool) -> int:
    """Rewrite the image paths of a dataset that lead nowhere; the old table stays as FILE.bak.

    \b
    Example:
      bakeoff dataset fix-paths receipts --root /data/scans
    """
    from orchestrator import api  # noqa: PLC0415 - see check

    workspace = current_workspace()
    done = api.fix_paths(name, root, dry_run=dry_run, workspace=workspace)
    would = "would be mended" if dry_run else "mended"
    for one in (done, *done.parts):
        console.status(f"{shown_path(one.table)}: {one.mended} paths {would}, {one.kept} were right")
    allowed = [folder.resolve() for folder in workspace.image_folders]
    if any(not any(place.is_relative_to(folder) for folder in allowed) for place in done.outside):
        console.status(
            "they lie outside the dataset's folder; so that they may be shown, say "
            f"image_folders = [{json.dumps(str(root.resolve()))}] under [settings] in {CONFIG_NAME}"
        )
    for sentence in done.lost[:_PROBLEMS_TOLD]:
        console.status(f"not found: {sentence}")
    if len(done.lost) > _PROBLEMS_TOLD:
        console.status(f"not found: {len(done.lost) - _PROBLEMS_TOLD} more")
    return 1 if done.lost else 0


@dataset.command()
@click.argument("name")
@click.argument("parts", nargs=-1, required=True, metavar="PART=SHARE…")
@click.option("--seed", default=0, show_default=True, help="Another seed, another division.")
def split(name: str, parts: tuple[str, ...], seed: int) -> None:
    """Divide a dataset by document into PARTs, which can be asked apart: --dataset NAME/PART.

    A document is in one part alone, and stays there when others are added.

    \b
    Example:
      bakeoff dataset split receipts search=25 select=50 confirm=25
    """
    from orchestrator import api  # noqa: PLC0415 - see check

    made = api.split_dataset(name, _shares(parts), seed=seed, workspace=current_workspace())
    for part in made:
        console.say(f"{part.name}: {part.documents} documents, {part.samples} samples, {shown_path(part.path)}")


@dataset.command()
@click.argument("name")
@click.option("--n", "count", default=100, show_default=True, help="How many.")
@click.option("--per", type=click.Choice(["doc_class", "question_type"]), help="So many of each.")
@click.option("--as", "part", default="sample", show_default=True, help="What the part is called.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other samples.")
def sample(name: str, count: int, per: str | None, part: str, seed: int) -> None:
    """Draw some samples of a dataset, the same ones every time: --dataset NAME/sample.

    \b
    Example:
      bakeoff dataset sample receipts --n 20 --per question_type
    """
    from orchestrator import api  # noqa: PLC0415 - see check

    made = api.sample_dataset(name, count, part, seed=seed, per=per, workspace=current_workspace())
    console.say(f"{made.name}: {made.documents} documents, {made.samples} samples, {shown_path(made.path)}")


@dataset.command()
@click.argument("name")
@click.option("--limit", default=60, show_default=True, help="How many samples.")
@click.option("--start", default=1, show_default=True, type=click.IntRange(min=1), help="The first one, from 1.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: NAME.html here.")
def show(name: str, limit: int, start: int, output: Path | None) -> None:
    """Make a contact sheet: images, boxes, questions and answers as one HTML page to look at.

    \b
    Example:
      bakeoff dataset show receipts --limit 24
    """
    from orchestrator import api  # noqa: PLC0415 - see check

    path, count = api.show_dataset(name, output, limit=limit, start=start - 1, workspace=current_workspace())
    console.status(f"{count} samples; open {shown_path(path.absolute())} in a browser")


def _shares(parts: tuple[str, ...]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for part in parts:
        name, _, share = part.partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            raise UsageError(f"{part}: write a part and its share, as search=25") from None
    return shares
