"""The command that compares two runs, and is a gate for CI."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator import console
from orchestrator.cli.common import check_output, current_workspace, shown_path
from orchestrator.errors import RegressionError, UsageError

if TYPE_CHECKING:
    from orchestrator.reporting.tabular import Table
    from orchestrator.scoring.compare import RunComparison

_MISSING = {"left-out": "left out", "worst": "worst"}
_FORMS = (".json", ".md")


@click.command()
@click.argument("run_a")
@click.argument("run_b")
@click.option("--metric", "metrics", multiple=True, metavar="M", help="Only this metric; may be repeated.")
@click.option(
    "--cells", nargs=2, multiple=True, metavar="A B", help="Compare these, as reports name them; may be repeated."
)
@click.option(
    "--max-regression",
    "limits",
    multiple=True,
    metavar="[M=]X",
    help="Exit code 4 where a loss of more than X is shown, in the metric's unit; M=X for one metric, repeatable.",
)
@click.option("--strict", is_flag=True, help="Exit code 4 also where such a loss cannot be ruled out.")
@click.option("--shared", is_flag=True, help="Let the gate judge the samples of both, where RUN_B was asked fewer.")
@click.option(
    "--missing",
    type=click.Choice(list(_MISSING)),
    help="What becomes of answers without a score. Default: left-out, or worst with --max-regression.",
)
@click.option(
    "--samples", type=click.IntRange(min=0), default=3, show_default=True, metavar="N", help="Show so many each way."
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Also write it: .json or .md.")
def compare(
    run_a: str,
    run_b: str,
    metrics: tuple[str, ...],
    cells: tuple[tuple[str, str], ...],
    limits: tuple[str, ...],
    strict: bool,
    shared: bool,
    missing: str | None,
    samples: int,
    as_json: bool,
    output: Path | None,
) -> None:
    """Compare RUN_B with RUN_A, names or paths, sample by sample: which cells are better, worse, by how much.

    Cells of one name are compared: the same model after an update, or cells of two models with --cells. With
    --max-regression it is a gate: exit code 0 where no loss of more than X is shown, 4 where one is. It says "passed"
    where such a loss is ruled out, else "not failed".

    \b
    Example:
      bakeoff compare last-week today
      bakeoff compare last-week today --metric cer --max-regression 0.01
      bakeoff compare tiny-docs tiny-docs --cells rapidocr tesseract
    """
    from orchestrator import api  # noqa: PLC0415 - brings pyarrow in, which --help does without
    from orchestrator.reporting.compared import compared_tables  # noqa: PLC0415 - as above
    from orchestrator.reporting.compared_gate import gate_sentence  # noqa: PLC0415 - as above

    for name, is_said in (("--strict", strict), ("--shared", shared)):
        if is_said and not limits:
            raise UsageError(f"{name} is about a gate; say with --max-regression what may be lost")
    check_output(output, _FORMS)
    limit = _parse_limits(limits)
    named = metrics or (tuple(limit) if isinstance(limit, dict) else None)
    found = api.compare(
        api.run_path(run_a, current_workspace),
        api.run_path(run_b, current_workspace),
        cells=cells or None,
        metrics=named,
        missing=_MISSING[missing] if missing else None,  # type: ignore[arg-type]  # click knows no literals
        max_regression=limit,
        shared=shared,
        samples=samples,
    )
    tables = compared_tables(found, strict=strict)
    _show(found, tables, output, as_json=as_json)
    if (sentence := gate_sentence(found, strict=strict)) is not None:
        raise RegressionError(sentence)


def _parse_limits(texts: tuple[str, ...]) -> float | dict[str, float] | None:
    """Return one limit for all metrics, or one for each that is named; None without any."""
    found: dict[str, float] = {}
    for text in texts:
        metric, _, number = text.rpartition("=")
        if metric in found or ("" in found and metric) or (found and not metric):
            raise UsageError(f"--max-regression {text}: give one for all metrics, or one of each: METRIC=X")
        try:
            found[metric] = float(number)
        except ValueError:
            raise UsageError(f"--max-regression {text}: write it as a number, or as METRIC=0.01") from None
    return found.get("", found) if found else None


def _show(found: "RunComparison", tables: list["Table"], output: Path | None, *, as_json: bool) -> None:
    as_text = found.model_dump_json(indent=1) + "\n"
    if output:
        _write(output, as_text, tables)
    if as_json:
        console.write(as_text)
    for table in () if as_json else tables:
        console.print_table(table)
    if output:
        console.status(f"{shown_path(output.absolute())}: the comparison")


def _write(output: Path, as_json: str, tables: list["Table"]) -> None:
    from orchestrator.files import write_atomically  # noqa: PLC0415 - only where a file is wanted
    from orchestrator.pages.markdown import to_markdown  # noqa: PLC0415 - as above

    text = as_json if output.suffix.lower() == ".json" else to_markdown(tables)
    write_atomically(output, text.encode(errors="replace"))
