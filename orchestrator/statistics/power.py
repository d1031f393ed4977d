"""What a dataset can see: the smallest difference that a paired comparison would find, and whether it finds any."""

import math

from orchestrator.statistics.student import t_quantile

POWER = 0.8
LEVEL = 0.05


def detectable(error: float, documents: int) -> float | None:
    """Return the true difference that a test at 5 % finds in 80 % of repetitions, from the standard error of it.

    (t_{0.975} + t_{0.8}) · SE with D - 1 degrees of freedom, D documents: the sample-size formula of Miller 2024
    (arXiv 2411.00640, section 5) solved for the difference, with t for z. None where there is no error to go by, and
    of fewer documents than `documents_needed`, with which nothing is found.
    """
    if documents < documents_needed() or not error > 0:
        return None
    freedom = documents - 1
    return (t_quantile(freedom) + t_quantile(freedom, 2 * POWER - 1)) * error


def documents_needed(claims: int = 1) -> int:
    """Return of how many documents, all of which changed the same way, a test can be significant.

    Flipping their signs gives p = 2 / 2^D at least, and Holm's correction over `claims` that times as much.
    """
    return 1 + math.ceil(math.log2(max(1, claims) / LEVEL) - 1e-9)


def claims_at_most(documents: int) -> int:
    """Return among how many claims a test of so many documents can be significant; 0 where it never can."""
    return int(LEVEL * 2.0 ** min(documents - 1, 60) + 1e-9)
