"""Score the answers of a run: a pass over its directory that asks no model and can be repeated."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from orchestrator.files import replacing
from orchestrator.metrics import Metric, select_metrics
from orchestrator.metrics.metric import Floats
from orchestrator.results.expected import Expected, iter_expected
from orchestrator.results.layout import scores_path
from orchestrator.results.parquet import write_table
from orchestrator.results.plan import Cell, now, read_plan
from orchestrator.results.schema import SCORES
from orchestrator.scoring.answers import Answers, open_answers
from orchestrator.scoring.cell_name import params_text
from orchestrator.scoring.figures import make_figures
from orchestrator.scoring.inputs import Extractor, Inputs, is_extracted
from orchestrator.scoring.run_comparisons import RunComparisons
from orchestrator.scoring.summary import Figure, MetricNote, Summary, write_summary
from orchestrator.scoring.tally import Measured, Tally, document_of
from orchestrator.scoring.twins import find_twins


@dataclass(frozen=True, slots=True)
class _Pass:
    """What is scored, by what, and who hears of it; `twins` have scores, but no figures."""

    run: Path
    metrics: tuple[Metric, ...]
    extractor: Extractor | None
    twins: frozenset[tuple[str, str, str]]
    notify: Callable[[str], None]


def score_run(
    run: Path,
    metrics: Sequence[str] | None = None,
    notify: Callable[[str], None] = lambda _: None,
    *,
    extractor: Extractor | None = None,
    own: Mapping[str, Metric] | None = None,
) -> Summary:
    """Score every answer that the plan of `run` expects by `metrics` (default: the default ones) and summarise.

    Of cells that share all answers one alone has figures; scores have all. Metrics that read the answer's text get
    what `extractor` takes out of it; where it finds nothing there is no score, for the reason `parse_fail`. `own` are
    metrics of the workspace by name.
    Replaces `scores/<model>.parquet` of every model, then the summary; what other metrics left there is gone.
    Raises UsageError for an unknown metric, BakeoffError where `run` is none. `notify` gets a line per cell.
    """
    began = now()  # what comes from here on may not be in the figures
    chosen = select_metrics(metrics, own or {})
    plan = read_plan(run)
    twins = find_twins(plan)
    this = _Pass(run, chosen, extractor, frozenset(twin.key for twin in twins), notify)
    figures: list[Figure] = []
    comparisons = RunComparisons(plan.name, chosen)
    stale: dict[str, int] = {}
    for model in dict.fromkeys(cell.model for cell in plan.cells):
        cells = [cell for cell in plan.cells if cell.model == model]
        of_model, stale[model] = _score_model(this, cells, comparisons)
        figures += of_model
    summary = Summary(
        run=plan.name,
        dataset=plan.dataset,
        created=began,
        metrics=tuple(metric.name for metric in chosen),
        metric_notes={metric.name: _note(metric, extractor) for metric in chosen},
        figures=tuple(figures),
        compared=comparisons.make(figures),
        stale={model: n for model, n in stale.items() if n},
        deaf=tuple(dict.fromkeys(cell.model for cell in plan.cells if cell.ignores_prompt)),
        twins=twins,
    )
    write_summary(run, summary)
    return summary


def _note(metric: Metric, extractor: Extractor | None) -> MetricNote:
    return MetricNote(
        unit=metric.unit,
        direction=metric.direction,
        aggregate=metric.aggregate,
        normaliser=metric.normaliser.label if metric.normaliser else None,
        extractor=extractor.label if extractor and is_extracted(metric) else None,
        version=metric.version,
    )


def _score_model(this: _Pass, cells: Sequence[Cell], comparisons: RunComparisons) -> tuple[list[Figure], int]:
    """Write the scores of the model that `cells` share; return its figures and its number of stale rows."""
    model = cells[0].model
    figures: list[Figure] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for cell in cells:
            params = params_text(cell.name[1])
            this.notify(f"scoring {model}, {f'{params}, ' if params else ''}prompt {cell.prompt}")
            tally = Tally(cell, this.metrics)
            yield from _score_cell(this, answers, tally)
            if cell.name not in this.twins:
                figures.extend(make_figures(tally))
                comparisons.keep(tally)

    columns = {"status", *(metric.reads for metric in this.metrics)}
    columns |= {"info"} if any("info" in metric.about for metric in this.metrics) else set()
    with open_answers(this.run, model, sorted(columns)) as answers:
        path = scores_path(this.run, model)
        with replacing(path) as temporary:
            write_table(temporary, SCORES, batches())
        return figures, answers.stale


def _score_cell(this: _Pass, answers: Answers, tally: Tally) -> Iterator[pa.RecordBatch]:
    with_rest = any({"answer_bbox", "metadata"}.intersection(metric.about) for metric in this.metrics)
    for expected in iter_expected(this.run, tally.cell, with_rest=with_rest):
        tally.add_samples(expected)
        found = answers.find([row.key for row in expected])
        inputs = Inputs(found, expected, this.extractor)
        shared = _shared_columns(tally.cell, expected)
        for metric in tally.metrics:
            measured = inputs.measure(metric)
            tally.add(metric, measured)
            yield _to_batch(shared, _note(metric, this.extractor), metric.name, measured)


def _shared_columns(cell: Cell, expected: Sequence[Expected]) -> dict[str, pa.Array]:
    """Return the columns of SCORES that all metrics of a batch have in common."""
    model, params, prompt = cell.name
    constant = {"model": model, "params": params, "prompt_id": prompt}
    own = ("key", "sample_id", "repeat", "doc_class", "question_type")
    return {
        **{name: pa.repeat(value, len(expected)) for name, value in constant.items()},
        **{name: pa.array([getattr(row, name) for row in expected], SCORES.field(name).type) for name in own},
        "document": pa.array([document_of(row) for row in expected], pa.string()),
    }


def _to_batch(shared: dict[str, pa.Array], note: MetricNote, name: str, measured: Measured) -> pa.RecordBatch:
    rows = len(measured.reasons)
    columns = {
        **shared,
        "metric": pa.repeat(name, rows),
        "normaliser": pa.repeat(pa.scalar(note.normaliser, pa.string()), rows),
        "extractor": pa.repeat(pa.scalar(note.extractor, pa.string()), rows),
        "score": _to_column(measured.measures.scores, rows),
        "errors": _to_column(measured.measures.errors, rows),
        "weight": _to_column(measured.measures.weights, rows),
        "reason": pa.array(measured.reasons, pa.string()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SCORES.names], schema=SCORES)


def _to_column(values: Floats | None, rows: int) -> pa.Array:
    """Return a column in which NaN is null."""
    return pa.nulls(rows, pa.float64()) if values is None else pa.array(values, mask=np.isnan(values))
