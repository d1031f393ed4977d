"""A summary as tables of plain strings; whoever shows them decides how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.metrics import METRICS
from orchestrator.reporting.notes import make_notes, params_text
from orchestrator.scoring import Figure, Summary

WIDTH = 100
ROWS_MAX = 24
MAIN_METRICS = ("cer", "cer_span", "exact")
_ARROWS = {"lower": "↓", "higher": "↑"}
_NOTHING = "-"
_GAP = 2

_Row = dict[str, Figure]  # the figures of one cell and group, by metric


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of strings below a header; the first `labels` columns name a row, the others are figures."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Column:
    header: str
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        return _GAP + max(map(len, (self.header, *self.cells)))


def summary_tables(summary: Summary, width: int = WIDTH) -> list[Table]:
    """Return every cell's figures, then those by doc_class and question_type where these divide the samples.

    What is too wide for `width` characters goes on in another table. The last one carries the notes.
    """
    title = f"Run {summary.run}, dataset {summary.dataset}"
    tables = _lay_out(title, _group_rows(summary, "all"), summary.metrics, width)
    is_choice = len(summary.metrics) <= len(MAIN_METRICS)
    main = summary.metrics if is_choice else [name for name in MAIN_METRICS if name in summary.metrics]
    divisions: tuple[Literal["doc_class", "question_type"], ...] = ("doc_class", "question_type")
    for division in divisions:
        rows = sorted(_group_rows(summary, division), key=lambda row: _group_name(row, division))
        if len({_group_name(row, division) for row in rows}) > 1:
            shown = _most_common(rows, division)
            left_out = f"; {len(rows) - len(shown)} more rows are in summary.csv"
            title = f"By {division}{left_out if len(shown) < len(rows) else ''}"
            tables += _lay_out(title, shown, main, width, division)
    return [*tables[:-1], replace(tables[-1], notes=make_notes(summary))]


def _group_rows(summary: Summary, group: str) -> list[_Row]:
    rows: dict[tuple[str | None, ...], _Row] = {}
    for figure in summary.figures:
        if figure.group == group:
            name = (figure.model, figure.params, figure.prompt, figure.doc_class, figure.question_type)
            rows.setdefault(name, {})[figure.metric] = figure
    return list(rows.values())


def _most_common(rows: Sequence[_Row], division: Literal["doc_class", "question_type"]) -> list[_Row]:
    """Return the rows of as many groups as `ROWS_MAX` has room for, those with the most samples, in their order."""
    sizes: dict[str, int] = {}
    for row in rows:
        name = _group_name(row, division)
        sizes[name] = max(sizes.get(name, 0), _any(row).n_total)
    room = max(1, ROWS_MAX * len(sizes) // len(rows))
    kept = set(sorted(sizes, key=lambda name: -sizes[name])[:room])
    return [row for row in rows if _group_name(row, division) in kept]


def _group_name(row: _Row, division: Literal["doc_class", "question_type"]) -> str:
    return getattr(_any(row), division) or "(none)"


def _any(row: _Row) -> Figure:
    """Return a figure of `row`, for what all of them share."""
    return next(iter(row.values()))


def _lay_out(
    title: str,
    rows: Sequence[_Row],
    metrics: Sequence[str],
    width: int,
    division: Literal["doc_class", "question_type"] | None = None,
) -> list[Table]:
    labels = _label_columns(rows)
    if division:
        labels.insert(0, _Column(division, tuple(_group_name(row, division) for row in rows)))
    blocks = {metric: _metric_columns(rows, metric) for metric in metrics}
    counts = _scored_column(rows, metrics)
    room = width - sum(column.width for column in (*labels, counts))
    tables: list[Table] = []
    for names in _pack(blocks, room):
        figures = [_scored_column(rows, names), *(column for name in names for column in blocks[name])]
        columns = [*labels, *figures]
        header = tuple(column.header for column in columns)
        cells = tuple(zip(*(column.cells for column in columns), strict=True))
        tables.append(Table(title if not tables else f"{title} (continued)", header, cells, len(labels)))
    return tables


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


def _label_columns(rows: Sequence[_Row]) -> list[_Column]:
    cells = [_any(row) for row in rows]
    columns = [
        _Column("model", tuple(cell.model for cell in cells)),
        _Column("params", tuple(params_text(cell.params) for cell in cells)),
        _Column("prompt", tuple(cell.prompt for cell in cells)),
    ]
    return [column for column in columns if column.header != "params" or any(column.cells)]


def _scored_column(rows: Sequence[_Row], metrics: Sequence[str]) -> _Column:
    return _Column("scored", tuple(_scored([row[name] for name in metrics]) for row in rows))


def _scored(figures: Sequence[Figure]) -> str:
    least, most = (pick(figure.n_scored for figure in figures) for pick in (min, max))
    return f"{least}/{figures[0].n_total}" if least == most else f"{least}-{most}/{figures[0].n_total}"


def _metric_columns(rows: Sequence[_Row], metric: str) -> list[_Column]:
    arrow = f" {_ARROWS[METRICS[metric].direction]}" if metric in METRICS else ""
    figures = [row[metric] for row in rows]
    columns = [_Column(metric + arrow, tuple(_mean_text(figure) for figure in figures))]
    if metric in METRICS and METRICS[metric].aggregate:
        cells = tuple(_number_text(figure.corpus, metric) for figure in figures)
        columns.append(_Column("corpus", cells))
    return columns


def _mean_text(figure: Figure) -> str:
    mean = _number_text(figure.mean, figure.metric)
    return mean if figure.half_width is None else f"{mean} ±{_number_text(figure.half_width, figure.metric)}"


def _number_text(value: float | None, metric: str) -> str:
    if value is None:
        return _NOTHING
    is_count = metric in METRICS and METRICS[metric].unit == "characters"
    return f"{value:.1f}" if is_count else f"{value:.3f}"
