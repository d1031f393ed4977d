"""What changed between two cells below the level of means: single samples, and groups of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from orchestrator.parsing import Frozen
from orchestrator.results.layout import SAMPLES_NAME
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.schema import SAMPLES
from orchestrator.scoring.cell_scores import Digests, digests
from orchestrator.scoring.comparison import SIGNIFICANT, Comparison, Pair, compare
from orchestrator.scoring.joined import Joined
from orchestrator.statistics import Floats, Ints

Division = Literal["doc_class", "question_type"]
_DIVISIONS: tuple[Division, ...] = ("doc_class", "question_type")
DOCUMENTS_MIN = 10  # of fewer, no p after the correction is small enough: the least one is 2 in 2^documents
_SAME = 1e-12


class SampleChange(Frozen):
    """A sample's score, the mean of its repeats, in the first cell and in the second."""

    sample_id: str
    first: float
    second: float


class Change(Frozen):
    """What of a comparison's samples changed, and which it lacks.

    `n_broken` samples went from right to wrong, `n_mended` from wrong to right, right being the best score that there
    is; None where there is no best one. `samples` are those that changed most, the worst loss first, then the greatest
    gain. `n_only_first` and `n_only_second` have a score in one cell alone and are left out; of `n_missing_first` and
    `n_missing_second` an answer without a score counts as the worst.
    """

    n_broken: int | None
    n_mended: int | None
    n_only_first: int
    n_only_second: int
    n_missing_first: int
    n_missing_second: int
    samples: tuple[SampleChange, ...]


class GroupChange(Frozen):
    """A comparison over the samples of one doc_class or question_type; `p_holm` is over all groups that were."""

    division: Division
    group: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Samples:
    """A run's samples: digests of their ids in ascending order, and in this order their places and groups."""

    ids: Digests
    places: Ints
    groups: dict[Division, tuple[Sequence[str], Ints]]

    def rows_of(self, ids: Digests) -> Ints:
        """Return where `ids`, which are all there, are."""
        return np.searchsorted(self.ids, ids)


def read_samples(run: Path) -> Samples:
    """Read which samples `run` has, and the groups they are in: some bytes a sample."""
    ids: list[Digests] = []
    numbers: dict[Division, list[int]] = {division: [] for division in _DIVISIONS}
    names: dict[Division, dict[str | None, int]] = {division: {} for division in _DIVISIONS}
    with ParquetReader(run / SAMPLES_NAME, SAMPLES) as file:
        for batch in file.batches(["id", *_DIVISIONS]):
            ids.append(digests(batch["id"].to_pylist()))
            for division in _DIVISIONS:
                known = names[division]
                numbers[division] += [known.setdefault(name, len(known)) for name in batch[division].to_pylist()]
    every = np.concatenate([np.zeros(0, np.uint64), *ids])
    order = np.argsort(every)
    return Samples(
        ids=every[order],
        places=order,
        groups={
            division: ([name or "(none)" for name in names[division]], np.array(numbers[division], np.int64)[order])
            for division in _DIVISIONS
        },
    )


def find_changes(run: Path, samples: Samples, joined: Sequence[Joined], best: dict[str, float], n: int) -> list[Change]:
    """Return what changed in each of `joined`: the `n` samples that lost most and the `n` that gained most.

    `best` is by metric the score of a right answer. Of samples that changed alike the first of the dataset are taken.
    """
    rows = [_most_changed(each, samples, n) for each in joined]
    wanted = [each.ids[chosen] for each, chosen in zip(joined, rows, strict=True)]
    names = _names(run, {int(one) for ids in wanted for one in ids})
    return [
        _to_change(each, [names[int(one)] for one in ids], chosen, best.get(each.pair.metric))
        for each, ids, chosen in zip(joined, wanted, rows, strict=True)
    ]


def _losses(pair: Pair) -> Floats:
    losses: Floats = (pair.second - pair.first) * (1 if pair.direction == "lower" else -1)
    return losses


def _most_changed(joined: Joined, samples: Samples, n: int) -> Ints:
    losses = np.nan_to_num(_losses(joined.pair))
    places = samples.places[samples.rows_of(joined.ids)]
    lost, gained = (np.lexsort((places, -sign * losses))[:n] for sign in (1, -1))
    return np.concatenate([lost[losses[lost] > _SAME], gained[losses[gained] < -_SAME]])


def _names(run: Path, wanted: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    with ParquetReader(run / SAMPLES_NAME, SAMPLES) as file:
        for batch in file.batches(["id"]):
            names = batch["id"].to_pylist()
            found |= {key: name for key, name in zip(digests(names).tolist(), names, strict=True) if key in wanted}
    return found


def _to_change(joined: Joined, names: Sequence[str], chosen: Ints, best: float | None) -> Change:
    pair = joined.pair
    broken, mended = (None, None) if best is None else _flips(pair, best)
    scores = zip(names, pair.first[chosen].tolist(), pair.second[chosen].tolist(), strict=True)
    return Change(
        n_broken=broken,
        n_mended=mended,
        n_only_first=joined.only[0],
        n_only_second=joined.only[1],
        n_missing_first=joined.missing[0],
        n_missing_second=joined.missing[1],
        samples=tuple(SampleChange(sample_id=name, first=one, second=other) for name, one, other in scores),
    )


def _flips(pair: Pair, best: float) -> tuple[int, int]:
    both = ~np.isnan(pair.first) & ~np.isnan(pair.second)
    was, is_now = (np.abs(scores[both] - best) <= _SAME for scores in (pair.first, pair.second))
    return int((was & ~is_now).sum()), int((~was & is_now).sum())


def find_group_changes(samples: Samples, joined: Iterable[Joined]) -> tuple[tuple[GroupChange, ...], int]:
    """Return the groups that changed significantly after Holm's correction over all, and how many there are.

    Groups of less than `DOCUMENTS_MIN` documents and those that hold all samples of their comparison are not compared.
    """
    groups = [group for each in joined for group in _groups(samples, each)]
    comparisons = compare([pair for _, _, pair in groups])
    found = [
        GroupChange(division=division, group=name, comparison=each)
        for (division, name, _), each in zip(groups, comparisons, strict=True)
        if each.p_holm <= SIGNIFICANT
    ]
    return tuple(found), len(groups)


def _groups(samples: Samples, joined: Joined) -> Iterator[tuple[Division, str, Pair]]:
    pair = joined.pair
    both = ~np.isnan(pair.first) & ~np.isnan(pair.second)
    rows = samples.rows_of(joined.ids[both])
    first, second, documents = pair.first[both], pair.second[both], pair.documents[both]
    for division, (names, numbers) in samples.groups.items():
        of_rows = numbers[rows]
        for number in np.unique(of_rows).tolist():
            kept = of_rows == number
            if not kept.all() and len(np.unique(documents[kept])) >= DOCUMENTS_MIN:
                part = Pair(pair.metric, pair.direction, pair.names, first[kept], second[kept], documents[kept])
                yield division, names[number], part
