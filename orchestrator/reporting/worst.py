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

_ALIKE = "+n alike: so many other prompts, parameters and repeats have the same score on the sample."
_KEPT = 1000  # samples in memory beyond those that are wanted


@dataclass(frozen=True, slots=True)
class WorstAnswer:
    """An answer, what was expected, and its score; `image` is the first image's path.

    `alike` are the model's other answers about the sample, to other prompts or repeats, that have the same score.
    """

    score: float
    sample_id: str
    prompt: str
    params: str
    repeat: int
    image: str | None
    references: tuple[str, ...]
    text: str | None
    alike: int = 0


def worst(run: Path, model: str, metric: str = "cer", n: int = 10) -> list[WorstAnswer]:
    """Return the worst answers of `model` by `metric` about `n` samples, the worst first, of each sample one.

    Of equal scores the one with more to read counts as worse, then the earlier one. Raises UsageError for an
    unknown model or metric, BakeoffError where the run was not scored by it, or was before its samples changed.
    """
    known = dict.fromkeys(cell.model for cell in read_plan(run).cells)
    if model not in known:
        raise UsageError(f"{run.name}: has no model '{model}'{nearest(model, known)}")
    sign = 1 if _note(run, metric).direction == "lower" else -1
    rows = _find_worst(_scored_rows(run, model, metric), sign, n)
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
    title = f"Worst answers of {model} by {metric} ({unit})"
    if not answers:
        return Table(title, ("score",), (("none has a score",),), labels=1)
    rows = tuple(
        (
            f"{answer.score:.3f}",
            f"{answer.sample_id}{f' (+{answer.alike} alike)' if answer.alike else ''}",
            " / ".join(part for part in (params_text(answer.params), answer.prompt) if part),
            answer.image or "",
            _cut(" | ".join(answer.references), longest),
            _cut(answer.text or "", longest),
        )
        for answer in answers
    )
    header = ("score", "sample", "prompt", "image", "reference", "answer")
    are_shared = any(answer.alike for answer in answers)
    notes = (_ALIKE,) if are_shared else ()
    return Table(title, header, rows, labels=len(header), notes=notes)


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


def _find_worst(rows: Iterable[dict[str, Any]], sign: int, n: int) -> list[dict[str, Any]]:
    """Return the worst row of each of the `n` worst samples; `alike` counts the sample's others of the same score."""

    def badness(row: dict[str, Any]) -> tuple[float, float]:
        return sign * row["score"], row["weight"] or 0

    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        before = found.get(row["sample_id"])
        if before is not None and before["score"] == row["score"]:
            kept = row if badness(row) > badness(before) else before
            found[row["sample_id"]] = {**kept, "alike": before["alike"] + 1}
        elif before is None or badness(row) > badness(before):
            found[row["sample_id"]] = {**row, "alike": 0}
        if len(found) > n + _KEPT:
            found = {kept["sample_id"]: kept for kept in heapq.nlargest(n, found.values(), badness)}
    return heapq.nlargest(n, found.values(), badness)


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
        alike=row["alike"],
    )


def _cut(text: str, longest: int | None) -> str:
    if longest is None or len(text) <= longest:
        return text
    return f"{text[:longest]}… (and {len(text) - longest} characters more)"
