"""Compare cells of one run or of two, from what scoring left in their directories."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.parsing import Frozen
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.changes import Change, GroupChange, find_changes, find_group_changes, read_samples
from orchestrator.scoring.comparison import Comparison, compare
from orchestrator.scoring.gate import Gate, Limits, check_limits, judge
from orchestrator.scoring.joined import Joined, Missing, check_comparable, join_cells
from orchestrator.scoring.matching import Cells, Unmatched, find_lone_metrics, match_cells
from orchestrator.scoring.origins import tell_origins
from orchestrator.scoring.summary import MetricNote

__all__ = ["Missing", "RunComparison", "compare_cells", "compare_runs"]

SAMPLES_SHOWN = 3


class RunComparison(Frozen):
    """Cells of two runs compared, or of one.

    `changes` has for each of `comparisons` what single samples did, `groups` those of `n_groups` doc_classes and
    question_types that changed significantly. `unmatched` are cells that have no counterpart in the other run, or no
    sample with a score in common with it, and main metrics that the other run was not scored by. `origins` says what
    differs in what the cells were made of; `missing` what became of answers without a score; `gate`, where limits were
    given, whether they are kept.
    """

    first: str
    second: str
    missing: Missing
    metric_notes: dict[str, MetricNote]
    comparisons: tuple[Comparison, ...]
    changes: tuple[Change, ...]
    groups: tuple[GroupChange, ...]
    n_groups: int
    unmatched: tuple[Unmatched, ...] = ()
    origins: tuple[str, ...] = ()
    gate: Gate | None = None


def compare_cells(
    first: tuple[Path, CellName],
    second: tuple[Path, CellName],
    metrics: Sequence[str] | None = None,
    *,
    missing: Missing = "left out",
) -> tuple[Comparison, ...]:
    """Compare two cells, each given by its run's directory and its name, by `metrics` (default: the main ones of both).

    Scores are joined on sample ids; Holm's correction is over the metrics that both have scores by. Answers without a
    score leave their sample out, or count as the `worst` where scores are fractions. Raises what `check_comparable`
    does.
    """
    notes = check_comparable(first[0], second[0], metrics)
    joined = list(join_cells(first, second, notes, missing))
    return compare([each.pair for each in _usable(joined)])


def compare_runs(
    first: Path,
    second: Path,
    cells: Cells | None = None,
    metrics: Sequence[str] | None = None,
    *,
    missing: Missing | None = None,
    max_regression: Limits | None = None,
    shared: bool = False,
    samples: int = SAMPLES_SHOWN,
) -> RunComparison:
    """Compare `cells`, pairs of one of each run by name, or every two that go together; see `match_cells`.

    Holm's correction is over all pairs and metrics with a sample to compare. With `max_regression` the result has a
    gate, and by default what is `missing` counts as the worst: who refuses is no better for it; else it is left out. It
    raises UsageError where the second run was asked a part of the samples, unless what both have is to be judged
    (`shared`). Of each comparison the `samples` that lost most are named, and as many that gained most. Memory holds
    some bytes for each sample of two cells and metrics. Raises what `check_comparable` and `check_limits` do.
    """
    if max_regression is not None and first == second and not cells:
        raise UsageError(f"{first.name}: the cells of one run have no before and after; name two with --cells A B")
    notes = check_comparable(first, second, metrics)
    limits = None if max_regression is None else check_limits(max_regression, notes)
    counted: Missing = missing or ("left out" if limits is None else "worst")
    pairs, unmatched = match_cells(first, second, cells)
    joined = [each for one, other in pairs for each in join_cells((first, one), (second, other), notes, counted)]
    usable = _usable(joined)
    comparisons = compare([each.pair for each in usable])
    known = read_samples(first)
    groups, n_groups = find_group_changes(known, usable)
    lone = () if metrics or first == second else find_lone_metrics(first, second)
    part = () if limits is None else _asked_in_part(each for each in usable if each.pair.metric in limits)
    if part and not shared:
        raise UsageError(_tell_part(part[0], second))
    lost = (*unmatched, *lone, *_without_samples(joined))
    judgeable = [each for each in lost if each not in lone or not isinstance(max_regression, Mapping)]
    names = (first.name, second.name) if first.name != second.name or first == second else (str(first), str(second))
    return RunComparison(
        first=names[0],
        second=names[1],
        missing=counted,
        metric_notes=notes,
        comparisons=comparisons,
        changes=tuple(find_changes(first, known, usable, _best_scores(notes), samples)),
        groups=groups,
        n_groups=n_groups,
        unmatched=lost,
        origins=tell_origins(first, second, pairs),
        gate=None if limits is None else _gate(usable, comparisons, (limits, notes), (judgeable, part)),
    )


def _usable(joined: Sequence[Joined]) -> list[Joined]:
    found = [each for each in joined if each.has_both]
    if not found:
        raise BakeoffError("no sample has a score in both cells; nothing can be compared")
    return found


def _without_samples(joined: Sequence[Joined]) -> list[Unmatched]:
    reason = "no sample has a score in both runs"
    return [
        Unmatched(of="first", cell=each.pair.names[0], reason=reason, metric=each.pair.metric)
        for each in joined
        if not each.has_both
    ]


def _best_scores(notes: Mapping[str, MetricNote]) -> dict[str, float]:
    fractions = {name: note for name, note in notes.items() if note.unit == "fraction"}
    return {name: 0.0 if note.direction == "lower" else 1.0 for name, note in fractions.items()}


def _gate(
    usable: Sequence[Joined],
    comparisons: Sequence[Comparison],
    rules: tuple[Mapping[str, float], Mapping[str, MetricNote]],
    tried: tuple[Sequence[Unmatched], Sequence[Unmatched]],
) -> Gate:
    (limits, notes), (unmatched, part) = rules, tried
    fractions = {name for name, note in notes.items() if note.unit == "fraction"}
    left = [
        each
        for each in unmatched
        if each.of == "first" and (each.cell is None or each.metric is None or each.metric in limits)
    ]
    return Gate(
        findings=judge([each.pair for each in usable], comparisons, limits, fractions=fractions),
        unjudged=(*left, *part),
    )


def _tell_part(part: Unmatched, second: Path) -> str:
    both, asked = part.samples or (0, 0)
    name = part.cell.text if part.cell else "a cell"
    return (
        f"{second.name}: was asked {both:,} of the {asked:,} samples of {name}, so that the gate would judge a part; "
        "ask the rest, or say --shared to judge what both have"
    )


def _asked_in_part(judged: Iterable[Joined]) -> tuple[Unmatched, ...]:
    """Return the first's cells that have samples which the second was not asked about, each once."""
    reason = "the other run was not asked the rest"
    found = {each.pair.names: each for each in judged if len(each.ids) < each.n_first}
    return tuple(
        Unmatched(of="first", cell=names[0], reason=reason, samples=(len(each.ids), each.n_first))
        for names, each in found.items()
    )
