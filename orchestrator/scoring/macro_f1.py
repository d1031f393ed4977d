"""Macro-averaged F1 of classes, per group of answers."""

import math

import numpy as np

from orchestrator.statistics import Floats, Ints


def macro_f1(labels: Ints, groups: Ints, count: int) -> Floats:
    """Return for each of `count` groups the mean of F1 over the classes that are a reference's there; NaN without.

    `labels` is (answers, 2): the numbers of the reference's class and of the answer's, -1 for an answer without
    a score. F1 = 2 TP / (2 TP + FP + FN) of a class (Sokolova and Lapalme 2009); an answer that is no class at all
    is a miss of the right one. It is sklearn's `f1_score(average="macro", labels=<those of the references>)`.
    """
    is_scored = labels[:, 0] >= 0
    expected, given = labels[is_scored].T
    group = groups[is_scored]
    width = int(labels.max(initial=-1)) + 1
    hits, wanted, found = (
        np.bincount(group[rows] * width + which[rows], minlength=count * width).reshape(count, width)
        for rows, which in ((expected == given, expected), (slice(None), expected), (slice(None), given))
    )
    is_class = wanted > 0
    each = np.divide(2 * hits, wanted + found, out=np.zeros(hits.shape), where=is_class)
    classes = is_class.sum(axis=1)
    means: Floats = np.divide(each.sum(axis=1), classes, out=np.full(count, math.nan), where=classes > 0)
    return means
