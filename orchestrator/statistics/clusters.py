"""What counts as one cluster where several runs say differently which samples belong together."""

import numpy as np
from numpy.typing import NDArray

from orchestrator.statistics.arrays import Ints


def join_clusters(*labels: NDArray[np.generic]) -> Ints:
    """Return the cluster of each sample, from 0 up, given the `labels` that each run has for all of them, in one order.

    Samples that share a label in any run are of one cluster, also by way of others: the connected components.
    """
    groups = [np.unique(each, return_inverse=True)[1] for each in labels]
    joined = groups[0].astype(np.int64)
    before = None
    while before is None or not np.array_equal(joined, before):
        before = joined
        for group in groups:
            least = np.full(int(group.max(initial=-1)) + 1, len(joined), dtype=np.int64)
            np.minimum.at(least, group, joined)
            joined = least[group]
    return np.unique(joined, return_inverse=True)[1].astype(np.int64)
