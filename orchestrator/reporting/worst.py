"""The answers with the worst scores, to look at."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.errors import BakeoffError, UsageError, nearest
from orchestrator.metrics import METRICS
from orchestrator.reporting.tabular import Table
from orchestrator.results.layout import SAMPLES_NAME, scores_path
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.plan import read_plan
from orchestrator.results.schema import SAMPLES, SCORES
from orchestrator.results.view import read_predictions
from orchestrator.scoring.cell_name import params_text
from orchestrator.scoring.summary import MetricNote, read_summary


@dataclass(frozen=True, slots=True)
class WorstAnswer:
    """An answer, what was expected, and its score; `image` is the first image's path."""

    score: float
    sample_id: str
    prompt: str
    params: str
    repeat: int
    image: str | None
    references: tuple[str, ...]
    text: str | None


def worst(run: Path, model: str, metric: str = "cer", n: int = 10) -> list[WorstAnswer]:
    """Return the `n` answers of `model` that score worst by `metric`, the worst first.

    Of equal scores the one with more to read counts as worse, then the earlier one. Raises UsageError for an
    unknown model or metric, BakeoffError where the run was not scored by it, or was before its samples changed.
    """
    known = dict.fromkeys(cell.model for cell in read_plan(run).cells)
    if model not in known:
        raise UsageError(f"{run.name}: has no model '{model}'{nearest(model, known)}")
    sign = 1 if _note(run, metric).direction == "lower" else -1
    rows = heapq.nlargest(n, _scored_rows(run, model, metric), lambda r: (sign * r["score"], r["weight"] or 0))
    texts = _find(read_predictions(run, model, ["key", "text"]), "key", (row["key"] for row in rows))
    with ParquetReader(run / SAMPLES_NAME, SAMPLES) as file:
        batches = file.batches(["id", "images", "references"])
        samples = _find(batches, "id", (row["sample_id"] for row in rows))
    if any(row["sample_id"] not in samples for row in rows):
        raise BakeoffError(f"{run.name}: was scored before the run went on; run `bakeoff score {run.name}`")
    return [_to_answer(row, samples[row["sample_id"]], texts.get(row["key"], {})) for row in rows]


def worst_table(
    model: str, metric: str, answers: Sequence[WorstAnswer], longest: int | None = None, *, unit: str = "fraction"
) -> Table:
    """Return `answers` as a table; a text of more than `longest` characters says how much is not shown.

    `unit` is the metric's, as the run's summary has it.
    """
    rows = tuple(
        (
            f"{answer.score:.3f}",
            answer.sample_id,
            " / ".join(part for part in (params_text(answer.params), answer.prompt) if part),
            answer.image or "",
            _cut(" | ".join(answer.references), longest),
            _cut(answer.text or "", longest),
        )
        for answer in answers
    )
    header = ("score", "sample", "prompt", "image", "reference", "answer")
    return Table(f"Worst answers of {model} by {metric} ({unit})", header, rows, labels=len(header))


def _note(run: Path, metric: str) -> MetricNote:
    """Return what the run's summary says of a metric, be it bakeoff's or a user's own."""
    notes = read_summary(run).metric_notes
    if metric in notes:
        return notes[metric]
    near = "" if metric in METRICS else nearest(metric, notes)
    raise UsageError(
        f"{run.name}: was not scored by {metric}{near}{'' if near.endswith('?') else ';'} "
        f"run `bakeoff score {run.name} --metric {metric}` if that is meant"
    )


def _scored_rows(run: Path, model: str, metric: str) -> Iterator[dict[str, Any]]:
    path = scores_path(run, model)
    if not path.is_file():
        raise BakeoffError(f"{run.name}: model '{model}' was not scored; run `bakeoff score {run.name}` first")
    was_scored = False
    with ParquetReader(path, SCORES, remedy=f"run `bakeoff score {run.name}` again") as file:
        columns = ["key", "sample_id", "prompt_id", "params", "repeat", "metric", "score", "weight"]
        for batch in file.batches(columns):
            of_metric = batch.filter(pc.equal(batch["metric"], metric))
            was_scored = was_scored or of_metric.num_rows > 0
            yield from of_metric.filter(pc.is_valid(of_metric["score"])).to_pylist()
    if not was_scored:
        raise BakeoffError(f"{run.name}: was not scored by {metric}; run `bakeoff score {run.name} --metric {metric}`")


def _find(batches: Iterable[pa.RecordBatch], column: str, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the rows whose `column` is one of `wanted`, by it."""
    values = pa.array(sorted(set(wanted)), pa.string())
    kept = (batch.filter(pc.is_in(batch[column], value_set=values)) for batch in batches)
    return {row[column]: row for batch in kept for row in batch.to_pylist()}


def _to_answer(row: dict[str, Any], sample: dict[str, Any], prediction: dict[str, Any]) -> WorstAnswer:
    return WorstAnswer(
        score=row["score"],
        sample_id=row["sample_id"],
        prompt=row["prompt_id"],
        params=row["params"],
        repeat=row["repeat"],
        image=sample["images"][0]["path"] if sample["images"] else None,
        references=tuple(sample["references"]),
        text=prediction.get("text"),
    )


def _cut(text: str, longest: int | None) -> str:
    if longest is None or len(text) <= longest:
        return text
    return f"{text[:longest]}… (and {len(text) - longest} characters more)"
