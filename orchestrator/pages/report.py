"""`report.html`: a run on one page that opens from disk, needs nothing else, and runs nothing but its own script."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from orchestrator.errors import UsageError
from orchestrator.exporting.rows import iter_rows
from orchestrator.files import disk_errors, replacing, write_atomically
from orchestrator.pages.block import to_block
from orchestrator.pages.chosen import choose
from orchestrator.pages.markdown import to_markdown
from orchestrator.pages.matrix import LONGEST, Matrix, read_samples, take_pictures
from orchestrator.pages.overview import (
    cells_of,
    every_metric_grid,
    heat_grids,
    main_grid,
    params_notes,
    repeats_grid,
    status_grid,
)
from orchestrator.pages.pictures import Pictures
from orchestrator.pages.plots import make_plots
from orchestrator.pages.png import write_png
from orchestrator.pages.shapes import Drawing, to_svg
from orchestrator.pages.short_names import short_parts
from orchestrator.pages.totals import CellKey, Totals
from orchestrator.pages.verdicts import make_verdicts
from orchestrator.reporting.comparisons import comparison_table
from orchestrator.reporting.failures import failure_table
from orchestrator.reporting.notes import make_notes
from orchestrator.reporting.spent import spent_table
from orchestrator.reporting.table import summary_tables
from orchestrator.reporting.tabular import Table
from orchestrator.results.layout import PROMPTS_NAME
from orchestrator.results.parquet import read_rows
from orchestrator.results.plan import RunPlan, read_plan
from orchestrator.results.schema import PROMPTS
from orchestrator.scoring import Summary, read_summary
from orchestrator.scoring.cell_name import params_text

PAGE_NAME = "report.html"
MARKDOWN_NAME = "summary.md"
_SCRIPTS = ("diff.js", "matrix.js", "detail.js", "page.js")
_MARKDOWN_WIDTH = 100_000  # characters: nothing is divided


@dataclass(frozen=True, slots=True)
class Report:
    """What was written: the page, how many of the run's samples it shows closely, and the plots' files.

    `left_out` counts pictures that the page had no room for.
    """

    path: Path
    size_bytes: int
    shown: int
    samples: int
    left_out: int
    plots: tuple[Path, ...] = ()


def write_report(
    run: Path, output: Path | None = None, *, pictures: Pictures = "thumb", plots: Path | None = None
) -> Report:
    """Write the page of the run directory `run` (default: in it), and its tables as Markdown in it.

    With `plots`, also every plot as SVG and PNG into that folder. Reads a run's rows once; of many samples some are
    shown closely, and the rest counts in all figures. Raises BakeoffError where the run was not scored, or went on
    since; UsageError where `output` is a folder.
    """
    path = output or run / PAGE_NAME
    _check_output(path)
    plan, summary = read_plan(run), read_summary(run)
    totals, matrix = _gather(run, plan, summary)
    drawings = make_plots(summary, totals)
    left_out = _write_page(path, run, (plan, summary), (totals, matrix), (drawings, pictures))
    write_atomically(run / MARKDOWN_NAME, to_markdown(_tables(run, summary)).encode(errors="replace"))
    written = tuple(_write_plots(drawings, plots)) if plots else ()
    return Report(path, path.stat().st_size, len(matrix.choice.ids), matrix.choice.total, left_out, written)


def _check_output(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; give the file's name, such as {path / PAGE_NAME}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")


def _gather(run: Path, plan: RunPlan, summary: Summary) -> tuple[dict[CellKey, Totals], Matrix]:
    """Read all rows once."""
    columns = [
        cell.name for model in dict.fromkeys(c.model for c in plan.cells) for cell in plan.cells if cell.model == model
    ]
    repeats = {cell.name: cell.repeats for cell in plan.cells}
    names = (*columns, *cells_of(summary))
    totals = {name: Totals(summary.compared.metrics, repeats.get(name, 1)) for name in names}
    matrix = Matrix(choose(run, plan, summary), columns, summary.metrics)
    for row in iter_rows(run, plan, summary.metrics):
        totals[row["model"], row["params"], row["prompt"]].add(row)
        matrix.add(row)
    for each in totals.values():
        each.finish()
    return totals, matrix


def _write_page(
    path: Path,
    run: Path,
    known: tuple[RunPlan, Summary],
    gathered: tuple[dict[CellKey, Totals], Matrix],
    looks: tuple[Sequence[Drawing], Pictures],
) -> int:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only for pages
    from markupsafe import Markup  # noqa: PLC0415 - as above

    (plan, summary), (totals, matrix), (drawings, pictures) = known, gathered, looks
    samples = list(read_samples(run, matrix.choice, matrix.texts))
    images, left_out = take_pictures(samples, pictures)
    style, script = _asset("page.css"), '"use strict";\n{\n' + "".join(map(_asset, _SCRIPTS)) + "}\n"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_asset("page.html"))
    parts = template.generate(
        summary=summary,
        plan=plan,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - ours, as are the two below but for what to_block and to_svg escape
        script=Markup(script),  # noqa: S704
        data=Markup(to_block(_data(summary, matrix, samples))),  # noqa: S704
        images=(Markup(part) for part in _listed(images)),  # noqa: S704
        plots=[Markup(to_svg(drawing)) for drawing in drawings],  # noqa: S704
        choice=matrix.choice,
        left_out=left_out,
        longest=LONGEST,
        **_tables_of_page(run, summary, totals),
    )
    with (
        disk_errors(path),
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace", newline="\n") as file,
    ):
        file.writelines(parts)
    return left_out


def _tables_of_page(run: Path, summary: Summary, totals: Mapping[CellKey, Totals]) -> dict[str, Any]:
    models = tuple(dict.fromkeys(figure.model for figure in summary.figures))
    prompts = {row["id"]: row for row in read_rows(run / PROMPTS_NAME, PROMPTS)}
    return {
        "verdicts": make_verdicts(summary, totals),
        "main": main_grid(summary, totals),
        "every": every_metric_grid(summary),
        "heats": heat_grids(summary),
        "repeats": repeats_grid(summary, totals),
        "statuses": status_grid(summary, totals),
        "compared": _compared(summary),
        "failures": failure_table(run, models),
        "spent": spent_table(run, models),
        "params": params_notes(summary),
        "notes": make_notes(summary),
        "prompts": [{**row, "text": row["text"][:LONGEST]} for row in prompts.values()],
    }


def _compared(summary: Summary) -> Table | None:
    """Return the comparisons; who has the best mean is not called best, for that is what the marks are for."""
    table = comparison_table(summary)
    if table is None:
        return None
    return replace(table, rows=tuple((*row[:-1], "best mean" if row[-1] == "best" else row[-1]) for row in table.rows))


def _data(summary: Summary, matrix: Matrix, samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    longest = matrix.texts.fit()
    main = [name for name in summary.compared.metrics if name in summary.metrics] or list(summary.metrics[:1])
    return {
        "metrics": [
            {
                "name": name,
                "direction": note.direction if (note := summary.metric_notes.get(name)) else "higher",
                "isFraction": bool(note and note.unit == "fraction"),
                "unit": note.unit if note else "",
                "isMain": name in main,
            }
            for name in summary.metrics
        ],
        "columns": [
            {"model": model, "params": params_text(params), "prompt": prompt, "short": " / ".join(parts[1:])}
            for (model, params, prompt), parts in short_parts(matrix.columns).items()
        ],
        "texts": matrix.texts.values,
        "more": matrix.texts.more,
        "longest": longest,
        "samples": samples,
        "cells": matrix.cells,
    }


def _listed(values: Sequence[Any]) -> Iterator[str]:
    """Yield a JSON list in parts."""
    yield "["
    for number, value in enumerate(values):
        yield f"{',' if number else ''}{to_block(value)}"
    yield "]"


def _policy(style: str, script: str) -> str:
    """Return a content security policy: our script and style by their digests, images from within, nothing else."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _asset(name: str) -> str:
    return files("orchestrator.pages").joinpath(name).read_text("utf-8")


def _tables(run: Path, summary: Summary) -> list[Table]:
    models = tuple(dict.fromkeys(figure.model for figure in summary.figures))
    failures = failure_table(run, models)
    return [*summary_tables(summary, _MARKDOWN_WIDTH), *([failures] if failures else [])]


def _write_plots(drawings: Sequence[Drawing], folder: Path) -> Iterator[Path]:
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for drawing in drawings:
        for suffix in ("svg", "png"):
            path = folder / f"{drawing.name}.{suffix}"
            if suffix == "svg":
                write_atomically(path, to_svg(drawing, standalone=True).encode())
            else:
                write_png(drawing, path)
            yield path
