"""The command `export`: a run's answers for other programs."""

from pathlib import Path

import click

from orchestrator import console
from orchestrator.cli.common import check_output, current_workspace, shown_path

_FORMS = ("csv", "json", "jsonl", "xlsx", "lmms-eval")


@click.command()
@click.argument("run")
@click.option("--to", "form", type=click.Choice(_FORMS), default="csv", show_default=True, help="The form.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: in the run's folder.")
def export(run: str, form: str, output: Path | None) -> None:
    """Write one row per answer of RUN, a name or a path: what was asked, what came, every score.

    csv and xlsx are made safe for spreadsheets, the column `changed` tells where; json and jsonl keep every text.

    \b
    Example:
      bakeoff export tiny-docs --to xlsx
    """
    from orchestrator import api  # noqa: PLC0415 - brings pyarrow in, which --help does without

    if form != "lmms-eval":  # which is a folder of files
        check_output(output)
    done = api.export(api.run_path(run, current_workspace), form, output)  # type: ignore[arg-type]
    console.status(f"{shown_path(done.path.absolute())}: {done.rows} rows")
    if not done.metrics:
        console.status(f"without scores: the run was never scored; `bakeoff score {run}` does it")
