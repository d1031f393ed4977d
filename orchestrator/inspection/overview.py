"""The runs of a workspace, one line each: what was asked, how far it came, and who works on it."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestrator.config import Workspace
from orchestrator.errors import BakeoffError
from orchestrator.files import read_errors
from orchestrator.inspection.completeness import count_answered
from orchestrator.inspection.folders import list_journals, list_run_folders, models_on_disk, size_bytes
from orchestrator.inspection.holder import find_holder
from orchestrator.results.layout import journal_folder, predictions_path
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.plan import RunPlan, read_plan
from orchestrator.results.schema import PREDICTIONS

COUNTED_MAX = 20_000
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in short. What cannot be told of a damaged one is None, and `damage` a sentence.

    `answered` of `expected` distinct requests have an answer; None where the plan has more than `COUNTED_MAX` answers
    to compare; then `rows`, the number of predictions on disk, says about how far it came. `is_unfolded` tells whether
    journals are left that are not folded into Parquet, `holder` who works on the run now.
    """

    name: str
    folder: Path
    dataset: str | None
    samples: int | None
    models: tuple[str, ...]
    answered: int | None
    expected: int | None
    rows: int | None
    updated: datetime | None
    size_bytes: int
    holder: str | None
    is_unfolded: bool
    damage: str | None


def list_runs(workspace: Workspace) -> list[RunLine]:
    """Return every run of `workspace` by name; a damaged one is a line that says so."""
    return [_line(folder) for folder in list_run_folders(workspace.results)]


def _line(run: Path) -> RunLine:
    plan, answered, expected, rows = None, None, None, None
    damage = None
    try:
        plan = read_plan(run)
        rows = sum(_count_rows(run, model) for model in models_on_disk(run))
        if _answers_max(plan) <= COUNTED_MAX:
            answered, expected = _count(run, plan)
    except BakeoffError as error:
        damage = str(error)
    return RunLine(
        name=run.name,
        folder=run,
        dataset=plan.dataset if plan else None,
        samples=plan.samples if plan else None,
        models=_models(plan) if plan else (),
        answered=answered,
        expected=expected,
        rows=rows,
        updated=plan.updated if plan else None,
        size_bytes=size_bytes(run),
        holder=find_holder(run),
        is_unfolded=bool(list_journals(run)),
        damage=damage,
    )


def _models(plan: RunPlan) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell.model for cell in plan.cells))


def _answers_max(plan: RunPlan) -> int:
    """Return how many answers the plan expects at most; several can share a request."""
    return sum(min(plan.samples, cell.limit or plan.samples) * cell.repeats for cell in plan.cells)


def _count(run: Path, plan: RunPlan) -> tuple[int, int]:
    of_models = [count_answered(run, [c for c in plan.cells if c.model == model]) for model in _models(plan)]
    return sum(answered for answered, _ in of_models), sum(expected for _, expected in of_models)


def _count_rows(run: Path, model: str) -> int:
    """Count the model's rows in Parquet and the lines of its journals, which begin with two that are no rows."""
    rows = 0
    for journal in journal_folder(run, model).glob("*.jsonl"):
        with suppress(FileNotFoundError), read_errors(journal), journal.open("rb") as file:
            rows += max(0, sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(_CHUNK_BYTES), b"")) - 2)
    path = predictions_path(run, model)
    if path.is_file():
        with ParquetReader(path, PREDICTIONS) as parquet:
            rows += sum(batch.num_rows for batch in parquet.batches(["repeat"]))
    return rows
