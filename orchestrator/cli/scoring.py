"""The commands that look at answers: `score` and `report`; neither asks a model."""

import click

from orchestrator import console
from orchestrator.cli.common import current_workspace, shown_path


@click.command()
@click.argument("run")
@click.option("--metric", "metrics", multiple=True, metavar="M", help="Only this metric; may be repeated.")
@click.option(
    "--extract",
    multiple=True,
    metavar="STEP",
    help="Take the answer out of the text first: think, fence, answer, last-line, boxed or json:FIELD; in this order.",
)
def score(run: str, metrics: tuple[str, ...], extract: tuple[str, ...]) -> None:
    """Score the answers of RUN, a name or a path; a separate pass that never asks a model.

    \b
    Example:
      bakeoff score tiny-docs --metric cer --metric exact
      bakeoff score tiny-docs --extract think --extract json:total
    """
    from orchestrator import api  # noqa: PLC0415 - brings pyarrow in, which --help does without

    folder = api.run_path(run, current_workspace)
    summary = api.score(folder, metrics=metrics or None, extract=extract, notify=console.status)
    console.status(f"scores are in {shown_path(folder)}; next: bakeoff report {run}")
    if not any(figure.n_scored for figure in summary.figures):
        console.status("nothing could be scored; the report says why")


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option("--worst", type=click.IntRange(min=1), metavar="N", help="Also show the N worst answers of each model.")
@click.option("--metric", default="cer", metavar="M", help="What --worst goes by.", show_default=True)
def report(runs: tuple[str, ...], worst: int | None, metric: str) -> None:
    """Show the scores of RUNs, names or paths, as tables: means with intervals, n scored / n total, and why.

    \b
    Example:
      bakeoff report tiny-docs --worst 10
    """
    from orchestrator import api  # noqa: PLC0415 - see score

    for run in runs:
        for table in api.report(
            api.run_path(run, current_workspace), worst=worst, metric=metric, width=console.table_width()
        ):
            console.print_table(table)
