"""Holm's correction for several tests."""

from collections.abc import Sequence


def holm(p_values: Sequence[float], claims: int | None = None) -> list[float]:
    """Return the p-values adjusted so that at 0.05 the chance of any false claim is at most 5 % (Holm 1979).

    The i-th smallest of m is multiplied by m - i + 1 and is at least the one before it, at most 1. `claims` is m where
    more were possible than were tested: the others count as not significant.
    """
    total = claims if claims is not None else len(p_values)
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[place] * (total - rank)))
        adjusted[place] = highest
    return adjusted
