"""The test of whether a mean is beyond a margin."""

import numpy as np

from orchestrator.statistics.arrays import Floats, Ints
from orchestrator.statistics.permutation import FLIPS, sign_flip

_SAME = 1e-12


def p_beyond(values: Floats, documents: Ints, margin: float, *, flips: int = FLIPS) -> float:
    """Return the two-sided p of `sign_flip` for a mean of `values` that differs from `margin`, clustered by document.

    Half of it is the p of one side. With a margin of 0 it is the test of `compare_pairs`; with another it holds in so
    far as the values lie as often above the margin as below, and for means of many documents whatever they are.
    `documents` numbers each value's document from 0.
    """
    sums = np.bincount(documents, values - margin)
    return sign_flip(np.where(np.abs(sums) > _SAME * max(1.0, margin), sums, 0.0), flips).p
