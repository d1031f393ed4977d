"""The command `leaderboard`; it asks no model and scores nothing."""

from pathlib import Path

import click

from orchestrator import console
from orchestrator.cli.common import check_output, current_workspace, shown_path
from orchestrator.files import write_atomically

_FORMS = (".csv", ".json", ".md")


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option("--metric", metavar="M", help="What ranks; default: the first main metric that all runs have.")
@click.option("--shared", is_flag=True, help="Rank on the samples that all were asked about, where not all had all.")
@click.option(
    "--missing",
    type=click.Choice(["worst", "left-out"]),
    default="worst",
    show_default=True,
    help="What an answer without a score counts as in ranks.",
)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Also write a .csv, .json or .md file.")
def leaderboard(runs: tuple[str, ...], metric: str | None, shared: bool, missing: str, output: Path | None) -> None:
    """Rank the models and prompts of RUNs, names or paths, that were asked about the same samples.

    Cells share a rank where a paired test did not tell them apart. A model that was asked in two runs has a row for
    each. Runs have to be scored.

    \b
    Example:
      bakeoff leaderboard last-week today
      bakeoff leaderboard receipts --metric cer --output board.md
    """
    from orchestrator import api  # noqa: PLC0415 - brings pyarrow in, which --help does without
    from orchestrator.reporting.leaderboard import leaderboard_table  # noqa: PLC0415 - as above

    check_output(output, _FORMS)
    folders = [api.run_path(run, current_workspace) for run in runs]
    board = api.leaderboard(folders, metric, shared=shared, missing="worst" if missing == "worst" else "left out")
    table = leaderboard_table(board)
    if output:
        from orchestrator.pages.markdown import to_markdown  # noqa: PLC0415 - as above
        from orchestrator.reporting.leaderboard import leaderboard_csv  # noqa: PLC0415 - as above

        texts = {
            ".csv": lambda: leaderboard_csv(board),
            ".json": lambda: board.model_dump_json(indent=1) + "\n",
            ".md": lambda: to_markdown([table]),
        }
        write_atomically(output, texts[output.suffix.lower()]().encode(errors="replace"))
    console.print_table(table)
    if output:
        console.status(f"the leaderboard is in {shown_path(output.absolute())}")
