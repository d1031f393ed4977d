"""The commands that look at answers: `score` and `report`; neither asks a model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator import console
from orchestrator.cli.common import check_folder, check_output, current_workspace, shown_path
from orchestrator.errors import BakeoffError, UsageError

if TYPE_CHECKING:
    from orchestrator.pages import Report
    from orchestrator.reporting.tabular import Table

_LONGEST = 200  # characters of a cell on a pipe, where a row is a line
_PICTURES = ("none", "thumb", "full")


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
@click.option("--terminal", is_flag=True, help="The tables alone; no page is written.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Default: report.html in the run; of several, beside them.",
)
@click.option("--images", type=click.Choice(_PICTURES), default="thumb", show_default=True, help="Images on the page.")
@click.option("--plots", type=click.Path(path_type=Path), metavar="DIR", help="Also write each plot as SVG and PNG.")
@click.option(
    "--worst", type=click.IntRange(min=1), metavar="N", help="Also show each model's worst answers, about N samples."
)
@click.option("--metric", default="cer", metavar="M", help="What --worst goes by.", show_default=True)
def report(
    runs: tuple[str, ...],
    terminal: bool,
    output: Path | None,
    images: str,
    plots: Path | None,
    worst: int | None,
    metric: str,
) -> None:
    """Show the scores of RUNs, names or paths, as tables here and as a page to look closer at every answer.

    The page is one file that opens from disk and loads nothing. Several runs about the same samples share it side by
    side, with a leaderboard; others stand on it one by one. Tables come as Markdown too, in the run's summary.md.
    Runs have to be scored, and scored again where they went on since.

    \b
    Example:
      bakeoff report tiny-docs --worst 10
      bakeoff report tiny-docs --output report.html --images full --plots figures
      bakeoff report last-week today --output both.html
    """
    from orchestrator import api  # noqa: PLC0415 - see score
    from orchestrator.inspection.outdated import check_scores  # noqa: PLC0415 - see score
    from orchestrator.scoring.several import label_runs  # noqa: PLC0415 - see score

    if terminal and (output or plots):
        raise UsageError("--terminal writes no files; leave it out, or --output and --plots")
    check_output(output)
    check_folder(plots, "--plots")
    folders = [api.run_path(run, current_workspace) for run in runs]
    label_runs(folders)
    for folder in folders:
        check_scores(folder, console.status)
    longest, width = None if sys.stdout.isatty() else _LONGEST, console.table_width()
    boards, apart = _boards(folders)
    of_runs = (api.report(folder, worst=worst, metric=metric, width=width, longest=longest) for folder in folders)
    tables = [*boards, *(table for tables in of_runs for table in tables)]
    # Files first: whatever becomes of stdout, they are there.
    done = None if terminal else api.report_page(folders, output, pictures=images, plots=plots)  # type: ignore[arg-type]
    for table in tables:
        console.print_table(table)
    if apart:
        console.status(f"no leaderboard, each run by itself: {apart}")
    if done:
        _tell(done)


def _boards(runs: list[Path]) -> tuple[list["Table"], str]:
    """Return the leaderboards of several runs, or why there are none."""
    from orchestrator.reporting.boards import board_tables  # noqa: PLC0415 - see score

    try:
        return board_tables(runs), ""
    except BakeoffError as error:
        return [], str(error)


def _tell(done: "Report") -> None:
    closely = "" if done.shown == done.samples else f", {done.shown:,} of {done.samples:,} samples closely"
    console.status(f"{shown_path(done.path.absolute())}: the page, {done.size_bytes / 1e6:.1f} MB{closely}")
    if done.left_out:
        console.status(f"{done.left_out} pictures are left out, or the page would be too large")
    if done.plots:
        console.status(f"{len(done.plots)} files of plots are in {shown_path(done.plots[0].parent.absolute())}")
