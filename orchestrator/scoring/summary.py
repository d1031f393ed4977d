"""`summary.json` and `summary.csv`: every mean of a run with its interval, its counts and what is missing."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from orchestrator.errors import BakeoffError
from orchestrator.files import write_atomically
from orchestrator.identity import canonical
from orchestrator.parsing import Frozen, read_json
from orchestrator.results.plan import read_plan

SUMMARY_NAME = "summary.json"
CSV_NAME = "summary.csv"

Group = Literal["all", "doc_class", "question_type", "doc_class/question_type"]


class Figure(Frozen):
    """One metric over one group of a cell's answers.

    `mean` is over the samples that have a score, repeats averaged within each first; mean ± `half_width` is
    its 95 % interval, clustered by document. `corpus` is the metric's second figure. `n_scored` and `n_total`
    count answers, `reasons` says why the others have no score. A figure that cannot be made is None.
    """

    model: str
    params: str
    prompt: str
    group: Group
    doc_class: str | None
    question_type: str | None
    metric: str
    mean: float | None
    half_width: float | None
    corpus: float | None
    n_scored: int
    n_total: int
    n_samples: int
    n_documents: int
    reasons: dict[str, int]


class MetricNote(Frozen):
    """What has to be known of a metric to read its figures; `extractor` is None where the answer counted as it came."""

    unit: str
    direction: Literal["higher", "lower"]
    aggregate: str | None
    normaliser: str | None
    extractor: str | None
    version: int


class Summary(Frozen):
    """What a run's scores come to; `stale` counts by model the predictions that no cell asks for.

    `deaf` are the models that ignore the prompt and were asked once about an image. `is_outdated` tells whether the
    run went on since; it is found when a summary is read, and never written.
    """

    schema_version: int = 1
    run: str
    dataset: str
    created: datetime
    metrics: tuple[str, ...]
    metric_notes: dict[str, MetricNote] = {}
    figures: tuple[Figure, ...]
    stale: dict[str, int]
    deaf: tuple[str, ...] = ()
    is_outdated: bool = Field(default=False, exclude=True)


def read_summary(run: Path) -> Summary:
    """Read the summary of the run directory `run`; raise BakeoffError where it was never scored."""
    path = run / SUMMARY_NAME
    if not path.is_file():
        raise BakeoffError(f"{run}: has no {SUMMARY_NAME}; run `bakeoff score {run.name}` first")
    summary = read_json(path, Summary)
    return summary.model_copy(update={"is_outdated": read_plan(run).updated > summary.created})


def write_summary(run: Path, summary: Summary) -> None:
    """Replace `summary.json` and `summary.csv` in the run directory `run`, each atomically."""
    write_atomically(run / SUMMARY_NAME, (summary.model_dump_json(indent=1) + "\n").encode())
    write_atomically(run / CSV_NAME, _to_csv(summary.figures).encode())


def _to_csv(figures: Sequence[Figure]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Figure.model_fields), lineterminator="\n")
    writer.writeheader()
    for figure in figures:
        row = figure.model_dump()
        writer.writerow({**row, "reasons": canonical(row["reasons"])})
    return text.getvalue()
