"""McNemar's exact test."""

import math


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided exact p for `only_first` samples that only the first got right, against the second's.

    Under the null the two are as likely: 2 P(X <= the lesser) of a binomial with 1/2, at most 1 (McNemar 1947; exact
    form, Agresti 2013, Categorical Data Analysis, 11.1.2). Takes samples for independent.
    """
    least, total = min(only_first, only_second), only_first + only_second
    log_term = math.lgamma(total + 1) - math.lgamma(least + 1) - math.lgamma(total - least + 1) - total * math.log(2)
    tail, term = 0.0, math.exp(log_term)
    for k in range(least, -1, -1):
        tail += term
        term *= k / (total - k + 1)
        if term < tail * 1e-17:
            break
    return min(1.0, 2 * tail)
