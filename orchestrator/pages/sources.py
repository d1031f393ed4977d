"""What a page is about: one run, or several over the same samples that are shown as one."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import BakeoffError
from orchestrator.exporting.rows import iter_rows
from orchestrator.pages.totals import CellKey
from orchestrator.reporting.failures import failure_table
from orchestrator.reporting.leaderboard import rank_note
from orchestrator.reporting.spent import spent_table
from orchestrator.reporting.tabular import Table
from orchestrator.results.layout import PROMPTS_NAME
from orchestrator.results.parquet import read_rows
from orchestrator.results.plan import Cell, RunPlan, read_plan
from orchestrator.results.schema import PROMPTS
from orchestrator.scoring import Summary, read_summary
from orchestrator.scoring.ranking import align, compare_all, rank_cells
from orchestrator.scoring.several import Several, label_runs, measured_alike, open_several
from orchestrator.scoring.summary import Compared

_IN_COMPARISONS = "Of several runs: in ranks and comparisons an answer without a score counts as wrong."


@dataclass(frozen=True, slots=True)
class Source:
    """A run on a page, under its `label`; `names` are what its models are called there where not as in the run."""

    run: Path
    label: str
    plan: RunPlan
    summary: Summary
    names: Mapping[str, str]

    def shown(self, model: str) -> str:
        """Return what the page calls `model`."""
        return self.names.get(model, model)

    @property
    def cells(self) -> Iterator[tuple[CellKey, Cell]]:
        """The cells that were asked and are shown, model by model, by what the page calls them."""
        twins = self.twins
        for model in dict.fromkeys(cell.model for cell in self.plan.cells):
            for cell in self.plan.cells:
                if cell.model == model and cell.name not in twins:
                    yield (self.shown(model), *cell.name[1:]), cell

    @property
    def twins(self) -> frozenset[CellKey]:
        """The cells for which another stands, by what the run calls them."""
        return frozenset(twin.key for twin in self.summary.twins)


@dataclass(frozen=True, slots=True)
class Content:
    """The runs of a page and one `summary` of them; `ranks` by metric and cell where there are several runs.

    `notes` say what has to be known of several runs on one page.
    """

    sources: tuple[Source, ...]
    summary: Summary
    ranks: Mapping[str, Mapping[CellKey, int | None]]
    notes: tuple[str, ...] = ()

    @property
    def plan(self) -> RunPlan:
        """The plan of the run that was asked last."""
        return max((source.plan for source in self.sources), key=lambda plan: plan.updated)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of all cells that are shown, one run after the other."""
        for source in self.sources:
            twins = source.twins
            for row in iter_rows(source.run, source.plan, self.summary.metrics):
                if (row["model"], row["params"], row["prompt"]) not in twins:
                    row["model"] = source.shown(row["model"])
                    yield row


def open_run(run: Path) -> Content:
    """Return the page's content of one run; raise BakeoffError where it was not scored."""
    summary = read_summary(run)
    return Content((Source(run, run.name, read_plan(run), summary, {}),), summary, {})


def open_runs(runs: Sequence[Path]) -> Content:
    """Return the common content of several runs.

    Raises BakeoffError where they have none: their samples differ, or they were scored in different ways or long ago.
    """
    several = open_several(runs)
    aligned = align(several)
    compared = compare_all(several, aligned, "worst")
    names = {run: {e.cell.model: e.name.model for e in several.entries if e.run == run} for run in several.runs}
    sources = tuple(
        Source(run, several.labels[run], read_plan(run), several.summaries[run], names[run]) for run in several.runs
    )
    ranks = {
        metric: {
            (name.model, name.params, name.prompt): rank
            for name, rank in rank_cells(several, aligned, compared, metric).items()
        }
        for metric in several.metrics
    }
    return Content(sources, _merge(several, sources, compared), ranks, tuple(_notes(several, compared)))


def open_contents(runs: Sequence[Path]) -> tuple[tuple[Content, ...], str]:
    """Return the common content of `runs`, or each run's own with the reason why they have none in common.

    Raises BakeoffError where one was not scored, UsageError where a run is named twice.
    """
    labels = label_runs(runs)
    if len(runs) == 1:
        return (open_run(runs[0]),), ""
    apart = tuple(open_run(run) for run in runs)
    try:
        return (open_runs(runs),), ""
    except BakeoffError as error:
        return tuple(_labelled(content, labels) for content in apart), str(error)


def _labelled(content: Content, labels: Mapping[Path, str]) -> Content:
    (source,) = content.sources
    return replace(content, sources=(replace(source, label=labels[source.run]),))


def failures_of(content: Content) -> Table | None:
    """Return why answers are missing, run by run."""
    return _join(content, [failure_table(source.run, _models(source)) for source in content.sources])


def spent_of(content: Content) -> Table | None:
    """Return what the answers of each model took, run by run."""
    return _join(content, [spent_table(source.run, _models(source)) for source in content.sources])


def prompts_of(content: Content) -> list[dict[str, Any]]:
    """Return the prompts, each text once; of one name with several texts each is named with a run that has it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for source in content.sources:
        of_run = {row["id"]: row for row in read_rows(source.run / PROMPTS_NAME, PROMPTS)}
        for row in of_run.values():
            found.setdefault((row["id"], row["sha256"]), {**row, "run": source.label})
    texts = Counter(name for name, _ in found)
    return [
        {**row, "id": f"{row['id']} @ {row['run']}" if texts[name] > 1 else name} for (name, _), row in found.items()
    ]


def _merge(several: Several, sources: Sequence[Source], compared: Compared) -> Summary:
    """Return one summary of all cells; metrics that not all runs have alike are left out."""
    summaries = [source.summary for source in sources]
    metrics = tuple(name for name in summaries[0].metrics if measured_alike(name, summaries))
    figures = [
        figure.model_copy(update={"model": source.shown(figure.model)})
        for source in sources
        for figure in source.summary.figures
        if figure.metric in metrics
    ]
    return Summary(
        run=", ".join(several.labels.values()),
        dataset=", ".join(dict.fromkeys(summary.dataset for summary in summaries)),
        created=max(summary.created for summary in summaries),
        metrics=metrics,
        metric_notes={name: several.notes[name] for name in metrics},
        figures=tuple(figures),
        compared=compared,
        stale={source.shown(model): n for source in sources for model, n in source.summary.stale.items()},
        deaf=tuple(dict.fromkeys(source.shown(model) for source in sources for model in source.summary.deaf)),
        twins=several.twins,
    )


def _notes(several: Several, compared: Compared) -> Iterator[str]:
    if compared.claims:
        yield rank_note(compared.which, compared.claims)
    yield _IN_COMPARISONS
    summaries = list(several.summaries.values())
    every = dict.fromkeys(name for summary in summaries for name in summary.metrics)
    if apart := [name for name in every if not measured_alike(name, summaries)]:
        yield f"Left out, since not all runs have them or they were measured in several ways: {', '.join(apart)}."


def _join(content: Content, tables: Iterable[Table | None]) -> Table | None:
    """Return the rows of tables of one kind below each other, models named with their run where they are in several."""
    models = Counter(model for source in content.sources for model in set(_models(source)))
    joined: Table | None = None
    for source, table in zip(content.sources, tables, strict=True):
        if table is None:
            continue
        rows = tuple((f"{row[0]} @ {source.label}" if models[row[0]] > 1 else row[0], *row[1:]) for row in table.rows)
        joined = replace(
            table,
            rows=(*(joined.rows if joined else ()), *rows),
            notes=(*(joined.notes if joined else ()), *table.notes),
        )
    return joined


def _models(source: Source) -> tuple[str, ...]:
    return tuple(dict.fromkeys(figure.model for figure in source.summary.figures))
