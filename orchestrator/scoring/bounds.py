"""The greatest loss that scores leave possible: by the interval, by counting documents, by the worst score there is."""

from dataclasses import dataclass

import numpy as np

from orchestrator.scoring.comparison import Comparison, Pair
from orchestrator.statistics import documents_needed, share_at_most

FEW = 10  # documents that changed, of which an interval knows too little
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Bound:
    """The loss of which more is ruled out; `n_changed` documents decided it, None where the interval did."""

    loss: float
    n_changed: int | None = None


def losses_of(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much the second is worse on each sample that both have, and the numbers of their documents."""
    both = ~np.isnan(pair.first) & ~np.isnan(pair.second)
    _, documents = np.unique(pair.documents[both], return_inverse=True)
    return sign_of(pair) * (pair.second - pair.first)[both], documents


def sign_of(pair: Pair) -> int:
    """Return 1 where a rise is a loss, else -1."""
    return 1 if pair.direction == "lower" else -1


def is_within(pair: Pair) -> bool:
    """Return whether all scores are within 0 and 1, as fractions are unless a metric of one's own says otherwise."""
    both = np.concatenate([pair.first, pair.second])
    return bool(np.nanmin(both) >= 0 and np.nanmax(both) <= 1)


def left_to_lose(pair: Pair, each: Comparison) -> float:
    """Return the most that the second can lose of a fraction: as much as the first is above the worst score."""
    return 1 - each.first_mean if pair.direction == "lower" else each.first_mean


def find_bound(pair: Pair, each: Comparison, limit: float, *, is_fraction: bool) -> Bound | None:
    """Return the greatest loss that is not ruled out, at 97.5 %; None where nothing is.

    It is the upper end of the interval. Where fewer than ten documents and less than half of them changed by more than
    a quarter of `limit`, an interval does not know what a rarer change may be worth. There it is at least what the
    others lost, and the upper limit of the share of documents that lose (`share_at_most`) times the most that one can:
    1 for fractions, else the range of all scores.
    """
    end = _interval_end(pair, each)
    losses, documents = losses_of(pair)
    sizes = np.bincount(documents)
    changes = np.bincount(documents, losses) / sizes
    is_changed = np.abs(changes) > max(limit / 4, _SAME)
    n_changed = int(is_changed.sum())
    if n_changed >= FEW or 2 * n_changed >= len(sizes):
        return None if end is None else Bound(end)
    alike = int(len(losses) ** 2 / (sizes**2).sum() + _SAME)  # so many documents of one size weigh as much
    share = share_at_most(int((is_changed & (changes > 0)).sum()), alike)
    rest = float(losses[~is_changed[documents]].sum()) / len(losses)
    rare = rest + share * (1.0 if is_fraction else _range(pair))
    return Bound(end) if end is not None and end > rare else Bound(rare, n_changed)


def _interval_end(pair: Pair, each: Comparison) -> float | None:
    """Return the upper end of the loss's interval; of the same loss in all documents, if there are some, it is that."""
    if each.low is not None and each.high is not None:
        return max(sign_of(pair) * each.low, sign_of(pair) * each.high)
    return sign_of(pair) * each.difference + 0.0 if each.n_documents >= documents_needed() else None


def _range(pair: Pair) -> float:
    both = np.concatenate([pair.first, pair.second])
    return float(np.nanmax(both) - np.nanmin(both))
