"""Whether scores are of the answers that are there, which a report asks before it says anything."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.errors import BakeoffError
from orchestrator.inspection.holder import find_holder
from orchestrator.results import keysets
from orchestrator.results.layout import scores_path
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.schema import ANSWER_STATUSES, SCORES
from orchestrator.results.view import read_predictions
from orchestrator.scoring.summary import Summary, read_summary, score_command

# Reasons that an answer takes away; any other stays, whatever comes.
_WAITING = ("missing", "error", "timeout", "crashed", "lost", "cancelled", "bad_input", "quarantined")


def check_scores(run: Path, notify: Callable[[str], None]) -> None:
    """Raise BakeoffError where `run` went on after it was scored, or was not scored.

    While answers still come, those since do not matter: `notify` gets a sentence with their number. Once a model has
    ended or other cells are asked for, the run has to be scored again.
    """
    summary = read_summary(run)
    remedy = f"run `{score_command(run, summary)}` again"
    if summary.is_outdated:
        raise BakeoffError(f"{run.name}: went on after it was scored; {remedy}")
    if not (count := _count_since(run, summary)):
        return
    came = f"{count:,} {'answers' if count > 1 else 'answer'} came after it was scored"
    if find_holder(run) is None:
        raise BakeoffError(f"{run.name}: {came}; {remedy}")
    notify(f"{run.name}: is still going on, {came}, of which the figures say nothing; {remedy}")


def _count_since(run: Path, summary: Summary) -> int:
    """Return how many requests have an answer that had none when they were scored."""
    waiting = {
        figure.model for figure in summary.figures if figure.group == "all" and figure.reasons.keys() & set(_WAITING)
    }
    return sum(_count_of_model(run, model) for model in sorted(waiting) if scores_path(run, model).is_file())


def _count_of_model(run: Path, model: str) -> int:
    reasons, answers = pa.array(_WAITING), pa.array(sorted(ANSWER_STATUSES))
    with ParquetReader(scores_path(run, model), SCORES, remedy=f"run `bakeoff score {run.name}` again") as file:
        missed = [
            keysets.from_arrow(batch.filter(pc.is_in(batch["reason"], reasons))["key"])
            for batch in file.batches(["key", "reason"])
        ]
    came = [
        keysets.from_arrow(batch.filter(pc.is_in(batch["status"], answers))["key"])
        for batch in read_predictions(run, model, ("key", "status"))
    ]
    return len(np.intersect1d(keysets.joined(missed), keysets.joined(came)))
