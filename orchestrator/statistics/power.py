"""What a dataset can see: the smallest difference that a paired comparison would find."""

from orchestrator.statistics.student import t_quantile

POWER = 0.8


def detectable(error: float, documents: int) -> float | None:
    """Return the true difference that a test at 5 % finds in 80 % of repetitions, from the standard error of it.

    (t_{0.975} + t_{0.8}) · SE with D - 1 degrees of freedom, D documents: the sample-size formula of Miller 2024
    (arXiv 2411.00640, section 5) solved for the difference, with t for z. None where there is no error to go by.
    """
    if documents < 2 or not error > 0:  # noqa: PLR2004 - one document has no spread
        return None
    freedom = documents - 1
    return (t_quantile(freedom) + t_quantile(freedom, 2 * POWER - 1)) * error
