"""`report.html`: a run on one page that opens from disk, needs nothing else, and runs nothing but its own script."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import UsageError
from orchestrator.files import disk_errors, replacing, write_atomically
from orchestrator.pages.block import to_block
from orchestrator.pages.boards import to_table, with_ranks
from orchestrator.pages.breakdowns import heat_grids, repeats_grid, status_grid
from orchestrator.pages.chosen import choose
from orchestrator.pages.contents import SCRIPTS, asset, breakable, listed, page_data, policy_of
from orchestrator.pages.facts import LEAD
from orchestrator.pages.markdown import to_markdown
from orchestrator.pages.matrix import LONGEST, Matrix, read_samples, take_pictures
from orchestrator.pages.overview import (
    Grid,
    best_first,
    cells_of,
    every_metric_grid,
    main_grid,
    params_notes,
)
from orchestrator.pages.pictures import Pictures
from orchestrator.pages.plots import make_plots, unplotted_notes
from orchestrator.pages.png import write_png
from orchestrator.pages.shapes import Drawing, to_svg
from orchestrator.pages.side_by_side import Tabs, put_together
from orchestrator.pages.sources import Content, failures_of, open_contents, prompts_of, spent_of
from orchestrator.pages.telling import column_metrics
from orchestrator.pages.totals import CellKey, Totals
from orchestrator.pages.verdicts import make_verdicts
from orchestrator.reporting.comparisons import comparison_table
from orchestrator.reporting.notes import make_notes
from orchestrator.reporting.table import summary_tables
from orchestrator.reporting.tabular import Table
from orchestrator.scoring import Summary

PAGE_NAME = "report.html"
MARKDOWN_NAME = "summary.md"
_MARKDOWN_WIDTH = 100_000  # characters: nothing is divided


@dataclass(frozen=True, slots=True)
class Report:
    """What was written: the page, how many of the samples it shows closely, and the plots' files.

    `left_out` counts pictures that the page had no room for; `apart` says why several runs have no leaderboard.
    """

    path: Path
    size_bytes: int
    shown: int
    samples: int
    left_out: int
    plots: tuple[Path, ...] = ()
    apart: str = ""


@dataclass(frozen=True, slots=True)
class _Page:
    """A page that is ready to be written down, in `parts`."""

    content: Content
    main: Grid
    matrix: Matrix
    drawings: Sequence[Drawing]
    left_out: int
    parts: Iterator[str]


def write_report(
    runs: Path | Sequence[Path],
    output: Path | None = None,
    *,
    pictures: Pictures = "thumb",
    plots: Path | None = None,
) -> Report:
    """Write the page of a run directory (default: in it) or of several (default: beside them), and its tables.

    Runs over the same samples are shown as one, with a leaderboard; others one by one, with the reason. The tables
    are Markdown, `summary.md` in the run, of several runs beside the page. With `plots`, also every plot as SVG and PNG
    into that folder. Reads a run's rows once; of many samples some are shown closely, and the rest counts in all
    figures. Raises BakeoffError where a run was not scored, or went on since; UsageError where `output` is a folder.
    """
    folders = [runs] if isinstance(runs, Path) else list(runs)
    path = output or (folders[0] if len(folders) == 1 else folders[0].parent) / PAGE_NAME
    _check_output(path)
    contents, apart = open_contents(folders)
    tabs = Tabs(tuple(content.sources[0].label for content in contents), apart)
    pages = [_make_page(content, pictures, tabs, number) for number, content in enumerate(contents)]
    _write(path, pages[0].parts if len(pages) == 1 else put_together(["".join(page.parts) for page in pages]))
    tables = [table for page in pages for table in _tables(page)]
    markdown = folders[0] / MARKDOWN_NAME if len(folders) == 1 else path.with_name(f"{path.stem}-{MARKDOWN_NAME}")
    write_atomically(markdown, to_markdown(tables).encode(errors="replace"))
    return Report(
        path,
        path.stat().st_size,
        sum(len(page.matrix.choice.ids) for page in pages),
        sum(page.matrix.choice.total for page in pages),
        sum(page.left_out for page in pages),
        tuple(_write_all_plots(pages, plots)) if plots else (),
        apart,
    )


def _check_output(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; give the file's name, such as {path / PAGE_NAME}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")


def _gather(content: Content, pages: int = 1) -> tuple[dict[CellKey, Totals], Matrix]:
    """Read all rows once."""
    summary = content.summary
    repeats = {key: cell.repeats for source in content.sources for key, cell in source.cells}
    totals = {name: Totals(summary.compared.metrics, repeats.get(name, 1)) for name in (*repeats, *cells_of(summary))}
    places = {cell: place for place, cell in enumerate(best_first(summary))}
    columns = sorted(repeats, key=lambda name: places.get(name, len(places)))
    matrix = Matrix(choose(content, pages), columns, summary.metrics)
    for row in content.rows():
        totals[row["model"], row["params"], row["prompt"]].add(row)
        matrix.add(row)
    for each in totals.values():
        each.finish()
    return totals, matrix


def _make_page(content: Content, pictures: Pictures, tabs: Tabs, here: int) -> _Page:
    """Return the page of `content`, the one number `here` of so many as there are tabs."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only for pages
    from markupsafe import Markup  # noqa: PLC0415 - as above

    summary, pages = content.summary, len(tabs.labels)
    totals, matrix = _gather(content, pages)
    drawings, tables = make_plots(summary, totals), _tables_of_page(content, totals)
    samples = list(read_samples(content.sources[0].run, matrix.choice, matrix.texts))
    images, left_out = take_pictures(samples, pictures, pages)
    style, script = asset("page.css"), '"use strict";\n{\n' + "".join(map(asset, SCRIPTS)) + "}\n"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["breakable"] = breakable
    template = environment.from_string(asset("page.html"))
    parts = template.generate(
        summary=summary,
        title=", ".join(tabs.labels) if tabs.apart else _name_of(content),
        heading=_name_of(content),
        plan=content.plan,
        tabs=tabs,
        here=here,
        policy=policy_of(style, script),
        style=Markup(style),  # noqa: S704 - ours, as are the two below but for what to_block and to_svg escape
        script=Markup(script),  # noqa: S704
        data=Markup(to_block(page_data(summary, matrix, samples, pages))),  # noqa: S704
        images=(Markup(part) for part in listed(images)),  # noqa: S704
        plots=[Markup(to_svg(drawing)) for drawing in drawings],  # noqa: S704
        choice=matrix.choice,
        left_out=left_out,
        not_plotted=unplotted_notes(summary),
        longest=LONGEST,
        **tables,
    )
    return _Page(content, tables["main"], matrix, drawings, left_out, parts)


def _name_of(content: Content) -> str:
    """Return what a page is called: a run as its folder, which may have another name than when it was asked."""
    return content.sources[0].label if len(content.sources) == 1 else content.summary.run


def _write(path: Path, parts: Iterable[str]) -> None:
    with (
        disk_errors(path),
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace", newline="\n") as file,
    ):
        file.writelines(parts)


def _tables_of_page(content: Content, totals: Mapping[CellKey, Totals]) -> dict[str, Any]:
    summary = content.summary
    verdicts = make_verdicts(summary, totals)
    return {
        "verdicts": verdicts,
        "has_lead": any(label == LEAD for verdict in verdicts for label, _ in verdict.facts),
        "main": with_ranks(content, main_grid(summary, totals, column_metrics(summary))),
        "every": every_metric_grid(summary),
        "heats": heat_grids(summary),
        "repeats": repeats_grid(summary, totals),
        "statuses": status_grid(summary, totals),
        "compared": _compared(summary),
        "failures": failures_of(content),
        "spent": spent_of(content),
        "params": params_notes(summary),
        "notes": make_notes(summary),
        "prompts": [{**row, "text": row["text"][:LONGEST]} for row in prompts_of(content)],
    }


def _compared(summary: Summary) -> Table | None:
    """Return the comparisons; who has the best mean is not called best, for that is what the marks are for."""
    table = comparison_table(summary)
    if table is None:
        return None
    return replace(table, rows=tuple((*row[:-1], "best mean" if row[-1] == "best" else row[-1]) for row in table.rows))


def _tables(page: _Page) -> list[Table]:
    failures = failures_of(page.content)
    summary = page.content.summary.model_copy(update={"run": _name_of(page.content)})
    board = [to_table(page.main)] if page.content.ranks else []
    return [*board, *summary_tables(summary, _MARKDOWN_WIDTH), *([failures] if failures else [])]


def _write_all_plots(pages: Sequence[_Page], folder: Path) -> Iterator[Path]:
    """Write the plots of a page into the folder, those of several into folders of their own in it."""
    for page in pages:
        own = folder if len(pages) == 1 else folder / page.content.sources[0].label.replace("/", "-")
        yield from _write_plots(page.drawings, own)


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
