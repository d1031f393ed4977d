"""The leaderboard: cells of one or several runs ranked by a metric over the same samples."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from orchestrator.parsing import Frozen
from orchestrator.results.plan import read_plan
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.cell_scores import CellScores
from orchestrator.scoring.compare import Missing
from orchestrator.scoring.comparison import Comparison, Direction
from orchestrator.scoring.ranking import Aligned, align, compare_all, rank_cells, worst_of
from orchestrator.scoring.several import Several, open_several
from orchestrator.scoring.spent import Spent, read_spent
from orchestrator.scoring.summary import Compared, MetricNote, Twin
from orchestrator.statistics import clustered_means

Standing = Literal["best", "best mean", "not told apart", ""]


class Place(Frozen):
    """One cell on the leaderboard.

    `mean` is over the samples that have a score, `low` to `high` its 95 % interval, clustered by document; `worst_case`
    the mean where answers without a score count as the worst. `n_scored` and `n_total` count answers. `cost` (US
    dollars), `time_s` and tokens are sums over `n_answers` distinct answers, of which so many as the field of the same
    name with `_known` told how much; None: nobody did. `against_best` compares it with the first place.
    """

    rank: int | None
    standing: Standing
    run: str
    model: str
    params: str
    prompt: str
    mean: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    worst_case: float | None
    n_scored: int
    n_total: int
    n_samples: int
    n_documents: int
    against_best: Comparison | None
    n_answers: int
    cost: float | None
    cost_known: int
    time_s: float | None
    time_known: int
    input_tokens: int | None
    input_known: int
    output_tokens: int | None
    output_known: int


class Leaderboard(Frozen):
    """Cells in the order of their ranks by `metric`, over `n_samples` that all of them have of `n_all` that any has.

    `claims` is over how many comparisons Holm's correction is, `which` tells what was compared. `needs_run` says that a
    model's cell is in two runs. `prompts` names prompts of one name and several texts. `twins` have no place, since
    another cell that shares all their answers stands for them.
    """

    metric: str
    direction: Direction
    unit: str
    runs: tuple[str, ...]
    n_samples: int
    n_all: int
    missing: Missing
    which: Literal["all pairs", "each with the best"]
    claims: int
    needs_run: bool
    prompts: tuple[str, ...]
    twins: tuple[Twin, ...] = ()
    places: tuple[Place, ...]


def make_leaderboard(
    runs: Sequence[Path], metric: str | None = None, *, shared: bool = False, missing: Missing = "worst"
) -> Leaderboard:
    """Rank the cells of `runs` by `metric` (default: the first main metric that all have).

    Raises BakeoffError where the samples of the runs differ (with `shared`, what not all have is left out), where a
    run was not scored, went on since, or was scored otherwise; UsageError for a metric that a run was not scored by.
    """
    several = open_several(runs, [metric] if metric else None)
    several = Several(several.runs, several.labels, several.summaries, several.entries, several.metrics[:1])
    aligned = align(several, shared=shared)
    compared = compare_all(several, aligned, missing)
    return board_of(several, aligned, compared, several.metrics[0], missing)


def board_of(several: Several, aligned: Aligned, compared: Compared, metric: str, missing: Missing) -> Leaderboard:
    """Return the leaderboard by one of the metrics that were compared."""
    note = several.notes[metric]
    ranks = rank_cells(several, aligned, compared, metric)
    return Leaderboard(
        metric=metric,
        direction=note.direction,
        unit=note.unit,
        runs=tuple(several.labels.values()),
        n_samples=len(aligned.ids),
        n_all=aligned.total,
        missing=missing,
        which=compared.which,
        claims=compared.claims,
        needs_run=several.needs_run,
        prompts=prompts_that_differ(several),
        twins=several.twins,
        places=_places(several, aligned, compared, metric, ranks),
    )


def prompts_that_differ(several: Several) -> tuple[str, ...]:
    """Return the prompts that have one name and several texts."""
    texts: dict[str, set[str]] = {}
    for run in several.runs:
        for cell in read_plan(run).cells:
            texts.setdefault(cell.prompt, set()).add(cell.prompt_sha256)
    return tuple(prompt for prompt, found in texts.items() if len(found) > 1)


def standings(ranks: Mapping[CellName, int | None], against: Mapping[CellName, Comparison]) -> dict[CellName, Standing]:
    """Return who is the best, where one is, else who has the best mean and who is not told apart from it.

    Nobody is anything where there is nothing to compare. `against` compares the others with the first. Who was found
    worse stands for nothing, though it may share their rank for standing above one that was not.
    """
    if sum(rank is not None for rank in ranks.values()) < 2:  # noqa: PLR2004 - one is not better than nobody
        return {}
    worse = {name for name, each in against.items() if each.verdict == "worse"}
    first = [name for name, rank in ranks.items() if rank == 1 and name not in worse]
    if len(first) == 1:
        return {first[0]: "best"}
    return {n: "not told apart" if n in against and against[n].difference else "best mean" for n in first}


def _places(
    several: Several, aligned: Aligned, compared: Compared, metric: str, ranks: dict[CellName, int | None]
) -> tuple[Place, ...]:
    plans = {run: read_plan(run) for run in several.runs}
    spent = {run: read_spent(run, plan.cells, aligned.ids) for run, plan in plans.items()}
    repeats = {run: {cell.name: cell.repeats for cell in plan.cells} for run, plan in plans.items()}
    entries = {entry.name: entry for entry in several.entries}
    best = next(iter(ranks))
    against = {c.second: c for c in compared.comparisons if c.metric == metric and c.first == best}
    found = standings(ranks, against)
    made: list[Place] = []
    for name, rank in ranks.items():
        entry = entries[name]
        key = (entry.cell.model, entry.cell.params, entry.cell.prompt)
        mean = _mean(aligned.scores[name][metric], aligned, several.notes[metric])
        made.append(
            Place(
                rank=rank,
                standing=found.get(name, ""),
                run=several.labels[entry.run],
                model=entry.cell.model,
                params=entry.cell.params,
                prompt=entry.cell.prompt,
                n_total=len(aligned.ids) * repeats[entry.run][key],
                against_best=against.get(name),
                **mean._asdict(),
                **_spent(spent[entry.run][key]),
            )
        )
    return tuple(made)


class _Mean(NamedTuple):
    mean: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    worst_case: float | None
    n_scored: int
    n_samples: int
    n_documents: int


def _mean(found: CellScores, aligned: Aligned, note: MetricNote) -> _Mean:
    scores = found.means()
    kept = ~np.isnan(scores)
    within = bool(((scores[kept] >= 0) & (scores[kept] <= 1)).all())
    is_fraction = note.unit == "fraction" and within
    groups = np.zeros(int(kept.sum()), np.int64)
    means = clustered_means(scores[kept], groups, aligned.documents[kept], 1, is_fraction=is_fraction)
    worst = found.means(worst_of(note)) if is_fraction else np.full(1, math.nan)
    return _Mean(
        mean=_or_none(means.mean[0]),
        standard_error=_or_none(means.error[0]),
        low=_or_none(means.low[0]),
        high=_or_none(means.high[0]),
        worst_case=_mean_known(worst),
        n_scored=int(found.scored.sum()),
        n_samples=int(means.samples[0]),
        n_documents=int(means.documents[0]),
    )


def _mean_known(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _spent(spent: Spent) -> dict[str, float | int | None]:
    """Return the fields of a place that say what its answers took."""
    cost, time = spent.amounts["cost"], spent.amounts["latency_s"]
    made: dict[str, float | int | None] = {"n_answers": spent.answers}
    made |= {"cost": cost.total if cost.known else None, "cost_known": cost.known}
    made |= {"time_s": time.total if time.known else None, "time_known": time.known}
    for side in ("input", "output"):
        tokens = spent.amounts[f"{side}_tokens"]
        made |= {f"{side}_tokens": int(tokens.total) if tokens.known else None, f"{side}_known": tokens.known}
    return made
