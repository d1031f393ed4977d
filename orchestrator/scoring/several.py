"""Several runs as one: their cells under names that tell them apart, by metrics that all of them measured alike."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BakeoffError, UsageError, nearest
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.matching import score_by
from orchestrator.scoring.same_samples import check_same_samples
from orchestrator.scoring.summary import MetricNote, Summary, Twin, read_summary


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell as its `run` calls it, and the `name` that tells it from the cells of the other runs."""

    run: Path
    cell: CellName
    name: CellName


@dataclass(frozen=True, slots=True)
class Several:
    """Runs with their summaries, under `labels`; `metrics` are the main ones that all have and measured alike."""

    runs: tuple[Path, ...]
    labels: Mapping[Path, str]
    summaries: Mapping[Path, Summary]
    entries: tuple[Entry, ...]
    metrics: tuple[str, ...]

    @property
    def notes(self) -> Mapping[str, MetricNote]:
        """What has to be known of each metric."""
        return self.summaries[self.runs[0]].metric_notes

    @property
    def needs_run(self) -> bool:
        """Whether cells have to be shown with their runs to be told apart."""
        return any(entry.name.model != entry.cell.model for entry in self.entries)

    @property
    def twins(self) -> tuple[Twin, ...]:
        """The cells for which an entry stands, both under the names of entries."""
        names = {(entry.run, entry.cell.model): entry.name.model for entry in self.entries}
        return tuple(
            Twin(cell=_renamed(twin.cell, model, label), kept=_renamed(twin.kept, model, label))
            for run, label in self.labels.items()
            for twin in self.summaries[run].twins
            if (model := names.get((run, twin.cell.model)))
        )


def open_several(runs: Sequence[Path], metrics: Sequence[str] | None = None) -> Several:
    """Open scored runs to be put side by side, by `metrics` or by the main ones that all have.

    Raises BakeoffError where a run was not scored or went on since, where a sample of one id is another in two of them,
    or a metric was measured in two ways; UsageError for a run named twice, or a metric that one was not scored by.
    """
    labels = label_runs(runs)
    summaries = {run: _read(run, label) for run, label in labels.items()}
    first = runs[0]
    for other in runs[1:]:
        check_same_samples(first, other)
    chosen = _choose_metrics(labels, summaries, metrics)
    return Several(tuple(runs), labels, summaries, _enter(labels, summaries), chosen)


def label_runs(runs: Sequence[Path]) -> dict[Path, str]:
    """Return what each run is called: its folder, with the one above it where two share a name."""
    if not runs:
        raise UsageError("name a run at least")
    names = Counter(run.name for run in runs)
    twice = next((run for run, n in Counter(run.resolve() for run in runs).items() if n > 1), None)
    if twice:
        raise UsageError(f"run '{twice.name}' is named twice; name each run once")
    return {run: run.name if names[run.name] == 1 else f"{run.parent.name}/{run.name}" for run in runs}


def measured_alike(metric: str, summaries: Sequence[Summary]) -> bool:
    """Tell whether all runs have `metric`, with the same normaliser, extraction and version."""
    notes = [summary.metric_notes.get(metric) for summary in summaries]
    return notes[0] is not None and all(note == notes[0] for note in notes)


def _read(run: Path, label: str) -> Summary:
    summary = read_summary(run)
    if summary.is_outdated:
        raise BakeoffError(f"{label}: went on after it was scored; run `bakeoff score {run.name}` again")
    if not summary.figures:
        raise BakeoffError(f"{label}: has no scores; run `bakeoff score {run.name}` again")
    return summary


def _choose_metrics(
    labels: Mapping[Path, str], summaries: Mapping[Path, Summary], metrics: Sequence[str] | None
) -> tuple[str, ...]:
    first, *others = summaries.values()
    shared = [name for name in first.compared.metrics if all(name in other.metric_notes for other in others)]
    chosen = tuple(metrics or shared)
    if not chosen:
        raise BakeoffError(
            f"{', '.join(labels.values())} have no main metric in common; score all by the same (`bakeoff score RUN "
            "--metric …`, which scores by what it names alone)"
        )
    for name in chosen:
        for run, summary in summaries.items():
            if name not in summary.metric_notes:
                is_known = any(name in each.metric_notes for each in summaries.values())
                told = f"; {score_by(run, name)}" if is_known else nearest(name, summary.metrics)
                raise UsageError(f"{labels[run]}: was not scored by '{name}'{told}")
        _check_alike(name, labels, summaries)
    return chosen


def _check_alike(name: str, labels: Mapping[Path, str], summaries: Mapping[Path, Summary]) -> None:
    """Raise BakeoffError where two runs measured the metric in different ways."""
    (first, ours), *others = ((labels[run], summary.metric_notes[name]) for run, summary in summaries.items())
    for label, theirs in others:
        for field in MetricNote.model_fields:
            one, other = getattr(ours, field), getattr(theirs, field)
            if one != other:
                raise BakeoffError(
                    f"{name} was not measured alike: its {field} is {one or 'none'} in {first} and {other or 'none'} "
                    f"in {label}; score both again in the same way"
                )


def _renamed(cell: CellName, model: str, run: str) -> CellName:
    return cell.model_copy(update={"model": model, "run": run})


def _enter(labels: Mapping[Path, str], summaries: Mapping[Path, Summary]) -> tuple[Entry, ...]:
    """Return all cells; where a model's cell is in two runs, all cells of that model are named with their run."""
    cells = {
        run: list(dict.fromkeys((each.model, each.params, each.prompt) for each in summary.figures))
        for run, summary in summaries.items()
    }
    counts = Counter(cell for those in cells.values() for cell in those)
    ambiguous = {cell[0] for cell, n in counts.items() if n > 1}
    return tuple(
        Entry(
            run,
            CellName(run=summaries[run].run, model=model, params=params, prompt=prompt),
            CellName(
                run=label,
                model=f"{model} @ {label}" if model in ambiguous else model,
                params=params,
                prompt=prompt,
            ),
        )
        for run, label in labels.items()
        for model, params, prompt in cells[run]
    )
