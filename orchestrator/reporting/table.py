"""A summary as tables of plain strings; whoever shows them decides how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.reporting.comparisons import comparison_table
from orchestrator.reporting.notes import make_notes
from orchestrator.reporting.numbers import interval_text, number_text, unit_of
from orchestrator.reporting.params import Params, shorten
from orchestrator.reporting.tabular import Table
from orchestrator.scoring import Figure, Summary
from orchestrator.scoring.tally import LENGTHS

__all__ = ["Table", "summary_tables"]

WIDTH = 100
ROWS_MAX = 24
TABLES_MAX = 2
MAIN_METRICS = ("cer", "cer_span", "exact")
_ARROWS = {"lower": "↓", "higher": "↑"}
_GAP = 2

_Division = Literal["doc_class", "question_type", "reference_length"]
_Row = dict[str, Figure]  # the figures of one cell and group, by metric


@dataclass(frozen=True, slots=True)
class _Column:
    header: str
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        return _GAP + max(map(len, (self.header, *self.cells)))


def summary_tables(summary: Summary, width: int = WIDTH, failures: Table | None = None) -> list[Table]:
    """Return every cell's figures, who differs from the best, and `failures`; then the figures of groups.

    These are by doc_class and question_type, where they divide the samples. What is too wide for `width` characters
    goes on in another table. The last one carries the notes.
    """
    title = f"Run {summary.run}, dataset {summary.dataset}"
    tables = _lay_out(summary, title, _group_rows(summary, "all"), summary.metrics, width)
    tables += [table for table in (comparison_table(summary), failures) if table is not None]
    is_choice = len(summary.metrics) <= len(MAIN_METRICS)
    main = [name for name in summary.metrics if is_choice or name in MAIN_METRICS] or summary.compared.metrics
    divisions: tuple[tuple[_Division, Sequence[str]], ...] = (
        ("doc_class", main),
        ("question_type", main),
        ("reference_length", summary.compared.metrics),
    )
    for division, metrics in divisions:
        rows = sorted(_group_rows(summary, division), key=lambda row: _group_order(row, division))
        if len({_group_name(row, division) for row in rows}) > 1:
            shown = _most_common(rows, division)
            left_out = f"; {len(rows) - len(shown)} more rows are in summary.csv"
            title = f"By {division}{left_out if len(shown) < len(rows) else ''}"
            tables += _lay_out(summary, title, shown, metrics, width, division)
    return [*tables[:-1], replace(tables[-1], notes=(*tables[-1].notes, *make_notes(summary)))]


def _group_rows(summary: Summary, group: str) -> list[_Row]:
    rows: dict[tuple[str | None, ...], _Row] = {}
    for figure in summary.figures:
        if figure.group == group:
            name = (*_cell(figure), figure.doc_class, figure.question_type, figure.reference_length)
            rows.setdefault(name, {})[figure.metric] = figure
    return list(rows.values())


def _cell(figure: Figure) -> tuple[str, str, str]:
    return figure.model, figure.params, figure.prompt


def _most_common(rows: Sequence[_Row], division: _Division) -> list[_Row]:
    """Return the rows of as many groups as `ROWS_MAX` has room for, those with the most samples, in their order."""
    sizes: dict[str, int] = {}
    for row in rows:
        name = _group_name(row, division)
        sizes[name] = max(sizes.get(name, 0), _any(row).n_total)
    room = max(1, ROWS_MAX * len(sizes) // len(rows))
    kept = set(sorted(sizes, key=lambda name: -sizes[name])[:room])
    return [row for row in rows if _group_name(row, division) in kept]


def _group_name(row: _Row, division: _Division) -> str:
    return getattr(_any(row), division) or "(none)"


def _group_order(row: _Row, division: _Division) -> tuple[int, str]:
    name = _group_name(row, division)
    return LENGTHS.index(name) if name in LENGTHS and division == "reference_length" else len(LENGTHS), name


def _any(row: _Row) -> Figure:
    """Return a figure of `row`, for what all of them share."""
    return next(iter(row.values()))


def _lay_out(
    summary: Summary,
    title: str,
    rows: Sequence[_Row],
    metrics: Sequence[str],
    width: int,
    division: _Division | None = None,
) -> list[Table]:
    labels = _label_columns(rows, shorten(figure.params for figure in summary.figures))
    if division:
        labels.insert(0, _Column(division, tuple(_group_name(row, division) for row in rows)))
    blocks = {metric: _metric_columns(summary, rows, metric) for metric in metrics}
    counts = _scored_column(rows, metrics)
    room = width - sum(column.width for column in (*labels, counts))
    packed = _pack(blocks, room)
    if len(packed) > TABLES_MAX:
        return [_lay_out_long(title, labels, rows, blocks)]
    tables: list[Table] = []
    for names in packed:
        figures = [_scored_column(rows, names), *(column for name in names for column in blocks[name])]
        columns = [*labels, *figures]
        header = tuple(column.header for column in columns)
        cells = tuple(zip(*(column.cells for column in columns), strict=True))
        tables.append(Table(title if not tables else f"{title} (continued)", header, cells, len(labels)))
    return tables


def _lay_out_long(
    title: str, labels: Sequence[_Column], rows: Sequence[_Row], blocks: Mapping[str, Sequence[_Column]]
) -> Table:
    """Return one table with a line per metric and row, where side by side they would be many tables."""
    header = ("metric", *(column.header for column in labels), "scored", "mean", "corpus")
    has_corpus = any(len(columns) > 1 for columns in blocks.values())
    lines: list[tuple[str, ...]] = []
    for metric, (mean, *corpus) in blocks.items():
        scored = _scored_column(rows, [metric])
        for number in range(len(rows)):
            found = (mean.cells[number], corpus[0].cells[number] if corpus else "")
            name = mean.header if number == 0 else ""
            lines.append((name, *(column.cells[number] for column in labels), scored.cells[number], *found))
    width = len(header) if has_corpus else len(header) - 1
    return Table(title, header[:width], tuple(line[:width] for line in lines), 1 + len(labels))


def _pack(blocks: Mapping[str, Sequence[_Column]], room: int) -> list[list[str]]:
    """Divide the blocks, in order, into lists that fit into `room` characters or hold one block."""
    packed: list[list[str]] = [[]]
    left = room
    for name, columns in blocks.items():
        width = sum(column.width for column in columns)
        if packed[-1] and width > left:
            packed.append([])
            left = room
        packed[-1].append(name)
        left -= width
    return packed


def _label_columns(rows: Sequence[_Row], params: Params) -> list[_Column]:
    cells = [_any(row) for row in rows]
    columns = [
        _Column("model", tuple(cell.model for cell in cells)),
        _Column("params", tuple(params.of(cell.params) for cell in cells)),
        _Column("prompt", tuple(cell.prompt for cell in cells)),
    ]
    return [column for column in columns if column.header != "params" or any(column.cells)]


def _scored_column(rows: Sequence[_Row], metrics: Sequence[str]) -> _Column:
    return _Column("scored", tuple(_scored([row[name] for name in metrics]) for row in rows))


def _scored(figures: Sequence[Figure]) -> str:
    least, most = (pick(figure.n_scored for figure in figures) for pick in (min, max))
    return f"{least}/{figures[0].n_total}" if least == most else f"{least}-{most}/{figures[0].n_total}"


def _metric_columns(summary: Summary, rows: Sequence[_Row], metric: str) -> list[_Column]:
    note, unit = summary.metric_notes.get(metric), unit_of(summary, metric)
    figures = [row[metric] for row in rows]
    cells = tuple(interval_text(figure.mean, figure.low, figure.high, unit) for figure in figures)
    columns = [_Column(f"{metric} {_ARROWS[note.direction]}" if note else metric, cells)]
    if note and note.aggregate:
        columns.append(_Column("corpus", tuple(number_text(figure.corpus, unit) for figure in figures)))
    return columns
