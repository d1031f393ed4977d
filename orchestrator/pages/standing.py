"""Which cells may be called best: the paired tests say so, not the means."""

import math
from typing import Literal

from orchestrator.pages.totals import CellKey
from orchestrator.scoring import CellName, Summary

_SAME = 1e-12

Standing = Literal["best", "best mean", "not told apart"]


def find_standing(summary: Summary, metric: str) -> dict[CellKey, Standing]:
    """Return by cell its standing by `metric`; nothing where there is nothing to compare.

    The cell of the best mean comes first. It is the best where every other cell that has a score was compared with it
    and found worse. Else it has the best mean and no more, as have those of the same mean; others that were not found
    worse are not told apart.
    """
    compared = [each for each in summary.compared.comparisons if each.metric == metric]
    if not compared:
        return {}
    best = compared[0].first  # comparisons come in the order of means
    against = {_key(each.second): each.verdict for each in compared if each.first == best}
    means = {
        (each.model, each.params, each.prompt): each.mean
        for each in summary.figures
        if each.group == "all" and each.metric == metric and each.mean is not None
    }
    rivals = [cell for cell in means if cell != _key(best) and against.get(cell) != "worse"]
    if not rivals:
        return {_key(best): "best"}
    found: dict[CellKey, Standing] = {_key(best): "best mean"}
    for cell in rivals:
        found[cell] = "best mean" if is_same(means[cell], means.get(_key(best))) else "not told apart"
    return found


def is_same(one: float | None, other: float | None) -> bool:
    """Tell whether two means are the same but for how floats add up, as those of three repeats do."""
    return one == other or (one is not None and other is not None and math.isclose(one, other, abs_tol=_SAME))


def _key(name: CellName) -> CellKey:
    return name.model, name.params, name.prompt
