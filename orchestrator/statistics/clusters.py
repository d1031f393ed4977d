"""What counts as one cluster where several runs say differently which samples belong together."""

import numpy as np
from numpy.typing import NDArray

from orchestrator.statistics.arrays import Ints


def join_clusters(*labels: NDArray[np.generic]) -> Ints:
    """Return the cluster of each sample, from 0 up, given the `labels` that each run has for all of them, in one order.

    Samples that share a label in any run are of one cluster, also by way of others: the connected components. In each
    round what another run joins is hooked to the least of it, and hooks of hooks are followed to their end (Liu and
    Tarjan 2019, arXiv 1812.06177), so that a chain of n samples takes few rounds and not n.
    """
    first, *others = (np.unique(each, return_inverse=True)[1].astype(np.int64) for each in labels)
    roots = np.arange(first.max(initial=-1) + 1)  # of each label of the first run: the least that it is joined with
    before = None
    while before is None or not np.array_equal(roots, before):
        before = roots
        for group in others:
            least = np.full(int(group.max(initial=-1)) + 1, len(roots), dtype=np.int64)
            np.minimum.at(least, group, roots[first])
            roots = roots.copy()
            np.minimum.at(roots, roots[first], least[group])
            roots = _without_chains(roots)
    return np.unique(roots[first], return_inverse=True)[1].astype(np.int64)


def _without_chains(roots: Ints) -> Ints:
    while not np.array_equal(nearer := roots[roots], roots):
        roots = nearer
    return roots
