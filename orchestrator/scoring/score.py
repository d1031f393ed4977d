"""Score the answers of a run: a pass over its directory that asks no model and can be repeated."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.files import replacing
from orchestrator.metrics import Measure, Metric, select_metrics
from orchestrator.results.expected import Expected, iter_expected
from orchestrator.results.layout import scores_path
from orchestrator.results.parquet import write_table
from orchestrator.results.plan import Cell, now, read_plan
from orchestrator.results.schema import SCORES
from orchestrator.scoring.answers import Answers, open_answers
from orchestrator.scoring.figures import make_figures
from orchestrator.scoring.summary import Figure, Summary, write_summary
from orchestrator.scoring.tally import Measured, Tally


def score_run(
    run: Path, metrics: Sequence[str] | None = None, notify: Callable[[str], None] = lambda _: None
) -> Summary:
    """Score every answer that the plan of `run` expects by `metrics` (default: all) and summarise.

    Replaces `scores/<model>.parquet` of every model, then the summary; what other metrics left there is gone.
    Raises UsageError for an unknown metric, BakeoffError where `run` is none. `notify` gets a line per cell.
    """
    chosen = select_metrics(metrics)
    plan = read_plan(run)
    figures: list[Figure] = []
    stale: dict[str, int] = {}
    for model in dict.fromkeys(cell.model for cell in plan.cells):
        cells = [cell for cell in plan.cells if cell.model == model]
        of_model, stale[model] = _score_model(run, cells, chosen, notify)
        figures += of_model
    summary = Summary(
        run=plan.name,
        dataset=plan.dataset,
        created=now(),
        metrics=tuple(metric.name for metric in chosen),
        figures=tuple(figures),
        stale={model: n for model, n in stale.items() if n},
        deaf=tuple(dict.fromkeys(cell.model for cell in plan.cells if cell.ignores_prompt)),
    )
    write_summary(run, summary)
    return summary


def _score_model(
    run: Path, cells: Sequence[Cell], metrics: Sequence[Metric], notify: Callable[[str], None]
) -> tuple[list[Figure], int]:
    """Write the scores of the model that `cells` share; return its figures and its number of stale rows."""
    model = cells[0].model
    figures: list[Figure] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for cell in cells:
            notify(f"scoring {model}, prompt {cell.prompt}")
            tally = Tally(cell, metrics)
            yield from _score_cell(run, answers, tally)
            figures.extend(make_figures(tally))

    columns = sorted({"status", *(metric.reads for metric in metrics)})
    with open_answers(run, model, columns) as answers:
        path = scores_path(run, model)
        with replacing(path) as temporary:
            write_table(temporary, SCORES, batches())
        return figures, answers.stale


def _score_cell(run: Path, answers: Answers, tally: Tally) -> Iterator[pa.RecordBatch]:
    for expected in iter_expected(run, tally.cell):
        tally.add_samples(expected)
        found = answers.find([row.key for row in expected])
        inputs = _Inputs(found, [row.references for row in expected])
        shared = _shared_columns(tally.cell, expected)
        for metric in tally.metrics:
            measured = _measure(metric, inputs)
            tally.add(metric, measured)
            yield _to_batch(shared, metric, measured)


class _Inputs:
    """A batch's values and references, normalised once for all the metrics that want them the same way."""

    def __init__(self, found: dict[str, list[Any]], references: list[tuple[str, ...]]) -> None:
        self.found = found
        self.references = references
        self._normalised: dict[tuple[str, str], tuple[list[Any], list[tuple[str, ...]]]] = {}

    def of(self, metric: Metric) -> tuple[list[Any], list[tuple[str, ...]]]:
        values = self.found[metric.reads]
        if metric.normaliser is None:
            return values, self.references
        name = (metric.reads, metric.normaliser.label)
        if name not in self._normalised:
            normalise = metric.normaliser.function
            texts = [None if value is None else normalise(value) for value in values]
            references = [tuple([normalise(text) for text in texts]) for texts in self.references]
            self._normalised[name] = (texts, references)
        return self._normalised[name]


def _measure(metric: Metric, inputs: _Inputs) -> Measured:
    measures: list[Measure | None] = []
    reasons: list[str | None] = []
    for status, value, references in zip(inputs.found["status"], *inputs.of(metric), strict=True):
        reason = _reason_against(metric, status, value, references)
        reasons.append(reason)
        measures.append(None if reason else metric.function(value, references))
    return Measured(measures, reasons)


def _reason_against(metric: Metric, status: str | None, value: Any, references: tuple[str, ...]) -> str | None:
    """Return why an answer has no score, None where it gets one; what the dataset lacks is said first."""
    if metric.needs_reference and not references:
        return "no_reference"
    if status != "ok":
        return status or "missing"
    return "unknown" if value is None else None


def _shared_columns(cell: Cell, expected: Sequence[Expected]) -> dict[str, pa.Array]:
    """Return the columns of SCORES that all metrics of a batch have in common."""
    model, params, prompt = cell.name
    constant = {"model": model, "params": params, "prompt_id": prompt}
    own = ("key", "sample_id", "repeat", "doc_class", "question_type")
    return {
        **{name: pa.repeat(value, len(expected)) for name, value in constant.items()},
        **{name: pa.array([getattr(row, name) for row in expected], SCORES.field(name).type) for name in own},
    }


def _to_batch(shared: dict[str, pa.Array], metric: Metric, measured: Measured) -> pa.RecordBatch:
    label = metric.normaliser.label if metric.normaliser else None
    rows = len(measured.measures)
    columns = {
        **shared,
        "metric": pa.repeat(metric.name, rows),
        "normaliser": pa.repeat(pa.scalar(label, pa.string()), rows),
        "score": pa.array([m.score if m else None for m in measured.measures], pa.float64()),
        "weight": pa.array([m.weight if m else None for m in measured.measures], pa.float64()),
        "reason": pa.array(measured.reasons, pa.string()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SCORES.names], schema=SCORES)
