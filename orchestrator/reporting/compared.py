"""A comparison of runs as tables of plain strings; whoever shows them decides how."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.reporting.compared_gate import gate_notes
from orchestrator.reporting.compared_notes import make_notes
from orchestrator.reporting.comparisons import difference_text
from orchestrator.reporting.numbers import NOTHING, number_text, p_text, signed_text
from orchestrator.reporting.tabular import Table
from orchestrator.scoring.changes import Change
from orchestrator.scoring.compare import RunComparison
from orchestrator.scoring.comparison import Comparison

SAMPLES_MAX = 24
NAME_MAX = 40  # characters of a cell's name that each row may repeat
_ARROWS = {"lower": "↓", "higher": "↑"}
_LABELS = 2
_Column = tuple[str, Callable[[Comparison, Change], str], bool]  # header, text, is shown where it says nothing


def compared_tables(found: RunComparison, *, strict: bool = False) -> list[Table]:
    """Return what a comparison found: means, groups and samples that changed; the first table has the notes.

    `strict` says how its gate is meant.
    """
    tables = [
        _means_table(found, strict=strict),
        _samples_table(found),
        _groups_table(found),
        _most_changed_table(found),
    ]
    made = [table for table in tables if table is not None]
    names = list(dict.fromkeys(map(cell_text, found.comparisons)))
    return made if max(map(len, names)) <= NAME_MAX else _named_once(made, names)


def _named_once(tables: Sequence[Table], names: Sequence[str]) -> list[Table]:
    """Return `tables` with the long names of cells said once: the only one in the title, of several each as a note."""
    first, *others = tables
    if len(names) == 1:
        return [_without_cells(replace(first, title=f"{first.title}; {names[0]}")), *map(_without_cells, others)]
    short = {name: f"c{number}" for number, name in enumerate(names, start=1)}
    told = tuple(f"{number}: {name}" for name, number in short.items())
    first, *others = (_with_cells(each, short) for each in tables)
    return [replace(first, notes=(*told, *first.notes)), *others]


def _without_cells(table: Table) -> Table:
    place = table.header.index("cell")
    header, *rows = ((*row[:place], *row[place + 1 :]) for row in (table.header, *table.rows))
    return replace(table, header=header, rows=tuple(rows), labels=table.labels - 1)


def _with_cells(table: Table, short: Mapping[str, str]) -> Table:
    place = table.header.index("cell")
    return replace(table, rows=tuple((*row[:place], short[row[place]], *row[place + 1 :]) for row in table.rows))


def cell_text(each: Comparison) -> str:
    """Return the name of the two cells, one where they have the same."""
    return each.first.text if each.first.text == each.second.text else f"{each.first.text} -> {each.second.text}"


def _means_table(found: RunComparison, *, strict: bool) -> Table:
    header = ["metric", "cell", "A", "B", "difference", "n", "p", "B is"]
    rows = [[*_labels(found, each), *_figures(found, each)] for each in found.comparisons]
    if found.gate:
        outcomes = {(each.metric, each.first, each.second): each.outcome for each in found.gate.findings}
        header.append("gate")
        rows = [
            [*row, outcomes.get((each.metric, each.first, each.second), NOTHING)]
            for row, each in zip(rows, found.comparisons, strict=True)
        ]
    notes = (*gate_notes(found, strict=strict), *make_notes(found))
    of_one = "A is each row's first cell, B its second"
    title = f"{found.first}: {of_one}" if found.first == found.second else f"A: {found.first}, B: {found.second}"
    return Table(title, tuple(header), tuple(map(tuple, rows)), _LABELS, notes)


def _labels(found: RunComparison, each: Comparison) -> tuple[str, str]:
    return f"{each.metric} {_ARROWS[found.metric_notes[each.metric].direction]}", cell_text(each)


def _figures(found: RunComparison, each: Comparison) -> Iterator[str]:
    unit = found.metric_notes[each.metric].unit
    yield number_text(each.first_mean, unit)
    yield number_text(each.second_mean, unit)
    yield difference_text(each, unit)
    yield f"{each.n_samples:,}"
    yield p_text(each.p_holm)
    yield each.verdict


def _samples_table(found: RunComparison) -> Table:
    columns: Sequence[_Column] = (
        ("documents", lambda each, _: f"{each.n_documents:,}", True),
        ("better", lambda each, _: f"{each.n_better:,}", True),
        ("equal", lambda each, _: f"{each.n_equal:,}", True),
        ("worse", lambda each, _: f"{each.n_worse:,}", True),
        ("right -> wrong", lambda _, change: _count(change.n_broken), True),
        ("wrong -> right", lambda _, change: _count(change.n_mended), True),
        ("only in A", lambda _, change: _count(change.n_only_first), False),
        ("only in B", lambda _, change: _count(change.n_only_second), False),
        ("lacking in A", lambda _, change: _count(change.n_missing_first), False),
        ("lacking in B", lambda _, change: _count(change.n_missing_second), False),
    )
    both = list(zip(found.comparisons, found.changes, strict=True))
    shown = [
        (header, [text(*one) for one in both])
        for header, text, is_always in columns
        if is_always or any(text(*one) != "0" for one in both)
    ]
    rows = [
        (*_labels(found, each), *(texts[place] for _, texts in shown)) for place, each in enumerate(found.comparisons)
    ]
    header = ("metric", "cell", *(header for header, _ in shown))
    return Table("Samples that changed", header, tuple(rows), _LABELS, _explain({header for header, _ in shown}))


def _count(number: int | None) -> str:
    return NOTHING if number is None else f"{number:,}"


def _explain(headers: set[str]) -> tuple[str, ...]:
    told = []
    if headers & {"only in A", "only in B"}:
        told.append("only in: samples with a score in one run alone; they are left out.")
    if headers & {"lacking in A", "lacking in B"}:
        told.append("lacking: samples of which an answer without a score counts as the worst.")
    return tuple(told)


def _groups_table(found: RunComparison) -> Table | None:
    if not found.groups:
        return None
    rows = [
        (group.division, group.group, *_labels(found, group.comparison), *_figures(found, group.comparison))
        for group in found.groups
    ]
    header = ("by", "group", "metric", "cell", "A", "B", "difference", "n", "p", "B is")
    told = f"Shown are those that differ significantly, after Holm's correction over all {found.n_groups} compared."
    return Table("By doc_class and question_type", header, tuple(rows), 4, (told,))


def _most_changed_table(found: RunComparison) -> Table | None:
    """Return the samples that changed most, of each two cells by one metric, a graded one where there is one."""
    chosen: dict[str, tuple[Comparison, Change]] = {}
    for each, change in zip(found.comparisons, found.changes, strict=True):
        before = chosen.get(cell_text(each))
        if before is None or (before[0].p_mcnemar is not None and each.p_mcnemar is None):
            chosen[cell_text(each)] = each, change
    rows = [row for each, change in chosen.values() for row in _sample_rows(found, each, change)]
    if not rows:
        return None
    more = f"; {len(rows) - SAMPLES_MAX} more are in the JSON" if len(rows) > SAMPLES_MAX else ""
    header = ("metric", "cell", "sample", "A", "B", "difference")
    return Table(f"Samples that changed most{more}", header, tuple(rows[:SAMPLES_MAX]), 3)


def _sample_rows(found: RunComparison, each: Comparison, change: Change) -> Iterator[tuple[str, ...]]:
    unit = found.metric_notes[each.metric].unit
    for one in change.samples:
        difference = signed_text(one.second - one.first, None, None, unit)
        figures = number_text(one.first, unit), number_text(one.second, unit), difference
        yield (*_labels(found, each), one.sample_id, *figures)
