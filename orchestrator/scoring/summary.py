"""`summary.json` and `summary.csv`: every mean of a run with its interval, its counts and what is missing."""

import csv
import io
import re
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from orchestrator.errors import BakeoffError
from orchestrator.files import write_atomically
from orchestrator.formulas import guarded
from orchestrator.identity import canonical
from orchestrator.metrics import select_metrics
from orchestrator.parsing import Frozen, read_json
from orchestrator.results.plan import read_plan
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.comparison import Comparison

SUMMARY_NAME = "summary.json"
CSV_NAME = "summary.csv"

SCHEMA_VERSION = 2  # 1: `half_width` in place of `low` and `high`, and no comparisons

Group = Literal["all", "doc_class", "question_type", "doc_class/question_type", "reference_length"]


class Figure(Frozen):
    """One metric over one group of a cell's answers.

    `mean` is over the samples that have a score, repeats averaged within each first; `low` to `high` is its 95 %
    interval, clustered by document as its `standard_error` is. `worst_case` is the mean where answers without a score
    count as the worst, those without a reference left out; fractions alone have one. `corpus` is the metric's second
    figure. `n_scored` and `n_total` count answers, `reasons` says why the others have no score. `reference_length` is
    in characters. A figure that cannot be made is None.
    """

    model: str
    params: str
    prompt: str
    group: Group
    doc_class: str | None
    question_type: str | None
    reference_length: str | None
    metric: str
    mean: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    worst_case: float | None
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


class Compared(Frozen):
    """The cells of a run compared with each other by `metrics`, the main ones of those that were computed.

    In each comparison the cell of the better mean comes first. `which` tells what was compared, `claims` over how many
    comparisons Holm's correction is. `detectable` is by metric the smallest difference that a comparison of two
    cells over this dataset typically finds; None where nothing tells.
    """

    metrics: tuple[str, ...] = ()
    which: Literal["all pairs", "each with the best"] = "all pairs"
    claims: int = 0
    detectable: dict[str, float | None] = {}
    comparisons: tuple[Comparison, ...] = ()


class Twin(Frozen):
    """A `cell` that has no figures of its own: it shares all answers with another of its model, `kept`."""

    cell: CellName
    kept: CellName

    @property
    def key(self) -> tuple[str, str, str]:
        """The cell's model, params and prompt."""
        return self.cell.model, self.cell.params, self.cell.prompt


class OlderSummaryError(BakeoffError):
    """A summary that an older bakeoff wrote and that scoring replaces."""


class _Version(BaseModel):
    """What every `summary.json` has, of whatever version."""

    schema_version: int = 1


class Summary(Frozen):
    """What a run's scores come to; `stale` counts by model the predictions that no cell asks for.

    `deaf` are the models that ignore the prompt and were asked once about an image, `twins` those of their cells for
    which another stands in all figures and comparisons. `is_outdated` tells whether the run went on since; it is found
    when a summary is read, and never written.
    """

    schema_version: int = SCHEMA_VERSION
    run: str
    dataset: str
    created: datetime
    metrics: tuple[str, ...]
    metric_notes: dict[str, MetricNote] = {}
    figures: tuple[Figure, ...]
    compared: Compared = Compared()
    stale: dict[str, int]
    deaf: tuple[str, ...] = ()
    twins: tuple[Twin, ...] = ()
    is_outdated: bool = Field(default=False, exclude=True)


def read_summary(run: Path) -> Summary:
    """Read the summary of the run directory `run`; its cells are called as that is, whatever it was called before.

    Raises BakeoffError where it was never scored or by a newer bakeoff, OlderSummaryError where by an older one.
    """
    path = run / SUMMARY_NAME
    if not path.is_file():
        raise BakeoffError(f"{run}: has no {SUMMARY_NAME}; run `bakeoff score {run.name}` first")
    version = read_json(path, _Version).schema_version
    if version < SCHEMA_VERSION:
        raise OlderSummaryError(f"{path}: was written by an older bakeoff; run `bakeoff score {run.name}` again")
    if version > SCHEMA_VERSION:
        raise BakeoffError(f"{path}: was written by a newer bakeoff (schema {version}); upgrade to read it")
    summary = read_json(path, Summary)
    current = _renamed(summary, run.absolute().name)
    return current.model_copy(update={"is_outdated": read_plan(run).updated > summary.created})


def _renamed(summary: Summary, name: str) -> Summary:
    """Return the summary of a run that is called `name`, which a copied or renamed one was not when it was scored."""
    if summary.run == name:
        return summary

    def own(cell: CellName) -> CellName:
        return cell.model_copy(update={"run": name})

    comparisons = tuple(
        each.model_copy(update={"first": own(each.first), "second": own(each.second)})
        for each in summary.compared.comparisons
    )
    twins = tuple(Twin(cell=own(twin.cell), kept=own(twin.kept)) for twin in summary.twins)
    compared = summary.compared.model_copy(update={"comparisons": comparisons})
    return summary.model_copy(update={"run": name, "compared": compared, "twins": twins})


def score_command(run: Path, summary: Summary) -> str:
    """Return the command that scores `run` again by what `summary` has figures of."""
    is_default = summary.metrics == tuple(metric.name for metric in select_metrics())
    named = () if is_default else tuple(f"--metric {shlex.quote(name)}" for name in summary.metrics)
    labels = dict.fromkeys(note.extractor for note in summary.metric_notes.values() if note.extractor)
    steps = (f"--extract {shlex.quote(step)}" for label in labels for step in re.split(r"_v\d+(?:\+|$)", label) if step)
    return " ".join(("bakeoff score", shlex.quote(run.name), *named, *steps))


def write_summary(run: Path, summary: Summary) -> None:
    """Replace `summary.json` and `summary.csv` in the run directory `run`, each atomically."""
    write_atomically(run / SUMMARY_NAME, (summary.model_dump_json(indent=1) + "\n").encode())
    write_atomically(run / CSV_NAME, _to_csv(summary.figures).encode())


def _to_csv(figures: Sequence[Figure]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Figure.model_fields), lineterminator="\n")
    writer.writeheader()
    for figure in figures:
        row = {name: guarded(v) if isinstance(v, str) else v for name, v in figure.model_dump().items()}
        writer.writerow({**row, "reasons": canonical(row["reasons"])})
    return text.getvalue()
