"""What was found about runs, as tables of plain strings and as JSON."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.identity import canonical
from orchestrator.inspection.completeness import MESSAGES_MAX, NOT_ASKED, CellState, Gap
from orchestrator.inspection.folders import size_text
from orchestrator.inspection.overview import RunLine
from orchestrator.inspection.show import SAMPLES_SHOWN, RunState
from orchestrator.inspection.sound_rows import is_newer
from orchestrator.inspection.stale import REASONS
from orchestrator.reporting.tabular import Table
from orchestrator.results.plan import IMPORTED, Cell
from orchestrator.scoring.cell_name import params_text

_NARROW = 80


def runs_table(runs: Sequence[RunLine], width: int) -> Table:
    """Return a row for each run; on a narrow terminal without its samples, models and size."""
    names = ["run", "dataset", "samples", "models", "answered", "updated", "size", "state"]
    left_out = {"samples", "models", "size"} if width < _NARROW else set[str]()
    shown = [number for number, name in enumerate(names) if name not in left_out]
    rows = [_run_row(run) for run in runs]
    header = tuple(names[number] for number in shown)
    notes = ("rows: too many to compare with the plan here; `bakeoff runs show RUN` counts what is answered.",)
    is_large = any(run.damage is None and run.answered is None for run in runs)
    title = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    cells = tuple(tuple(row[number] for number in shown) for row in rows)
    return Table(title, header, cells, len(header), notes if is_large else ())


def state_tables(state: RunState, width: int, *, with_samples: bool = False) -> list[Table]:
    """Return what was asked and answered, then what is missing and why, what is stale, and the environments.

    `with_samples` adds a table of all the samples that the state names, and messages besides the commonest.
    """
    tables = [_asked_table(state, width), _missing_table(state, width)]
    tables += [_samples_table(state)] if with_samples else []
    tables += [_stale_table(state), _envs_table(state)]
    return [table for table in tables if table.rows or table.notes]


def to_json(found: Any) -> str:
    """Return dataclasses and plans as indented JSON, in ASCII, which drives no terminal."""
    return json.dumps(found, indent=1, default=_plain)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value.model_dump(mode="json")


def _run_row(run: RunLine) -> tuple[str, ...]:
    unknown = "-"
    return (
        run.name,
        run.dataset or unknown,
        unknown if run.samples is None else str(run.samples),
        ", ".join(run.models) or unknown,
        _answered(run),
        f"{run.updated:%Y-%m-%d %H:%M}" if run.updated else unknown,
        size_text(run.size_bytes),
        _state(run),
    )


def _answered(run: RunLine) -> str:
    if run.answered is not None:
        return f"{run.answered} of {run.expected}"
    return f"{run.rows} rows" if run.rows is not None and run.damage is None else "-"


def _state(run: RunLine) -> str:
    if run.damage:
        told = run.damage.removeprefix(f"{run.folder}/").removeprefix(f"{run.folder}: ")
        return ("" if is_newer(told) else "damaged: ") + told.partition("; ")[0]
    if run.holder:
        return f"{run.holder} works on it"
    if run.is_unfolded:
        return "interrupted"
    if run.answered is None:
        return ""
    return "complete" if run.answered == run.expected else "incomplete"


def _asked_table(state: RunState, width: int) -> Table:
    header = ("model", "params", "prompt", "samples", "repeats", "requests", "ok", "refused", "missing")
    rows = tuple(_cell_row(state, each) for each in state.cells)
    title = f"Run {state.folder.name}: {state.plan.samples} samples of {state.plan.dataset}"
    table = _without_empty(Table(title, header, rows, 3, tuple(_notes(state))), "params", "refused")
    if _width(table) > width:
        table = _without(table, ("samples", "repeats"))
    return table if _width(table) <= width else dataclasses.replace(table, labels=len(table.header))


def _cell_row(state: RunState, each: CellState) -> tuple[str, ...]:
    cell = each.cell
    samples = state.plan.samples if cell.limit is None else min(cell.limit, state.plan.samples)
    counts = ("?", "?", "?")
    if each.ok is not None and each.refused is not None:
        counts = (str(each.ok), str(each.refused or ""), str(each.requests - each.ok - each.refused))
    return (*_cell_name(cell), str(samples), str(cell.repeats), str(each.requests), *counts)


def _cell_name(cell: Cell) -> tuple[str, str, str]:
    return cell.model, params_text(canonical(cell.overrides)), cell.prompt


def _notes(state: RunState) -> Iterator[str]:
    """Yield what there is to know about the run as a whole."""
    plan = state.plan
    commit = f", workspace commit {plan.git_commit[:10]}" if plan.git_commit else ""
    yield f"created {_time(plan.created)}, updated {_time(plan.updated)}, bakeoff {plan.bakeoff_version}{commit}"
    if state.holder:
        yield f"{state.holder} works on it now: what is missing may be on its way"
    for model, failure in plan.failures.items():
        yield f"{model} failed the last time: {failure}; what its worker said is in logs/{model}.log"
    for defect in state.defects.values():
        yield defect if is_newer(defect) else f"damaged: {defect}"
    shared = [each for each in state.cells if each.requests < each.answers]
    if shared:
        yield (
            "requests: fewer than samples x repeats where samples ask the very same thing of the same images; these "
            "are asked once and share the answer"
            + (". A model that ignores the prompt is asked once an image" if _any_deaf(shared) else "")
        )
    if state.journals and not state.holder:
        yield f"{_count(state.journals, 'journal')} not folded into Parquet yet: counted here; the next run does it"
    if state.bent_journals:
        yield f"{_count(state.bent_journals, 'journal')} with damaged lines put aside: {_names(state.bent_journals)}"
    if state.set_aside:
        yield f"{_count(state.set_aside, 'file')} of older predictions set aside in old/: they count nowhere"


def _any_deaf(cells: Sequence[CellState]) -> bool:
    return any(each.cell.ignores_prompt for each in cells)


def _missing_table(state: RunState, width: int) -> Table:
    """Return the reasons; where the messages make it too wide, they follow below."""
    header = ("model", "params", "prompt", "status", "requests", "samples", "commonest message")
    found = [(each.cell, gap) for each in state.cells for gap in each.gaps]
    rows = tuple((*_cell_name(cell), *_gap_row(gap)) for cell, gap in found)
    table = Table("What is missing, and why", header, rows, len(header))
    if len(state.cells) == 1:
        table = _without(table, header[:3])
    table = _without_empty(table, "params", "commonest message")
    told: list[str] = []
    if _width(table) > width:
        table = _without(table, ["commonest message"])
        told = [f"{_cell_title(state, cell)}{_word(gap)}: {_message(gap)}" for cell, gap in found if gap.message]
    return dataclasses.replace(table, notes=(*told, *_fates(state, [gap for _, gap in found])))


def _cell_title(state: RunState, cell: Cell) -> str:
    """Return what tells `cell` from the others before something that is said of it."""
    return " / ".join(filter(None, _cell_name(cell))) + ", " if len(state.cells) > 1 else ""


def _fates(state: RunState, gaps: Sequence[Gap]) -> Iterator[str]:
    """Yield what becomes of what is missing."""
    if state.holder and any(gap.status == "lost" for gap in gaps):
        yield "lost: these may be under way just now"
    if again := dict.fromkeys(_word(gap) for gap in gaps if not gap.is_final):
        is_ours = any(each.cell.runner != IMPORTED for each in state.cells)
        remedy = "asked again by the same command" if is_ours else "import a file that has them"
        yield f"{', '.join(again)}: {remedy}"
    final = {gap.status for gap in gaps if gap.is_final}
    if "bad_input" in final:
        yield "bad_input: final; mend the image or setting that is named, and run again with --retry-failed"
    if others := sorted(final - {"bad_input"}):
        yield f"{', '.join(others)}: final; `bakeoff run … --retry-failed` asks again"


def _gap_row(gap: Gap) -> tuple[str, ...]:
    more = ", …" if len(gap.sample_ids) > SAMPLES_SHOWN or gap.requests > len(gap.sample_ids) else ""
    return _word(gap), str(gap.requests), ", ".join(gap.sample_ids[:SAMPLES_SHOWN]) + more, _message(gap)


def _message(gap: Gap) -> str:
    """Return the commonest message whole, since the remedy is at its end, and how many others there are."""
    others = f" (and {_count(range(gap.messages - 1), 'other message')})" if gap.messages > 1 else ""
    if gap.messages > MESSAGES_MAX:
        others = f" (and {MESSAGES_MAX} other messages or more)"
    return (gap.message or "") + others


def _samples_table(state: RunState) -> Table:
    header = ("model", "params", "prompt", "status", "samples")
    rows = [
        (*_cell_name(each.cell), _word(gap), ", ".join(gap.sample_ids)) for each in state.cells for gap in each.gaps
    ]
    gaps = [(each.cell, gap) for each in state.cells for gap in each.gaps]
    told = [f"{_cell_title(state, cell)}{_word(gap)}, also: {text}" for cell, gap in gaps for text in gap.others]
    return _without_empty(Table("Samples without an answer", header, tuple(rows), len(header), tuple(told)), "params")


def _word(gap: Gap) -> str:
    return "not asked yet" if gap.status == NOT_ASKED else gap.status


def _stale_table(state: RunState) -> Table:
    rows = tuple((each.model, str(each.rows), REASONS[each.why]) for each in state.stale)
    notes = ("No cell asks for these predictions any more: they stay in the file and count nowhere.",) if rows else ()
    return Table("Stale predictions", ("model", "stale", "why"), rows, 3, notes)


def _envs_table(state: RunState) -> Table:
    header = ("runner", "python", "packages", "locked")
    rows = tuple(
        (name, env.python, str(len(env.packages)), "yes" if env.locked else "no")
        for name, env in state.plan.envs.items()
    )
    return Table("Environments", header, rows, len(header))


def _without_empty(table: Table, *optional: str) -> Table:
    """Leave out those of the `optional` columns that are empty."""
    is_empty = {name: not any(row[n] for row in table.rows) for n, name in enumerate(table.header)}
    return _without(table, [name for name in optional if is_empty.get(name)])


def _without(table: Table, names: Sequence[str]) -> Table:
    kept = [n for n, name in enumerate(table.header) if name not in names]
    return dataclasses.replace(
        table,
        header=tuple(table.header[n] for n in kept),
        rows=tuple(tuple(row[n] for n in kept) for row in table.rows),
        labels=len([n for n in kept if n < table.labels]),
    )


def _width(table: Table) -> int:
    return sum(2 + max(map(len, column)) for column in zip(table.header, *table.rows, strict=True))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'s' * (len(things) != 1)}"


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(str(Path(*path.parts[-3:])) for path in paths)
