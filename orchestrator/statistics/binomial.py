"""How large a share may be of which few cases, or none, were seen."""

import math

ONE_SIDED = 0.975  # of each end of a 95 % interval


def share_at_most(count: int, total: int, confidence: float = ONE_SIDED) -> float:
    """Return the upper limit of a share, of which `count` of `total` independent cases were seen.

    Of Clopper and Pearson (1934, Biometrika 26:404): the share with which so few are seen in 1 - `confidence` of
    repetitions. Of none it is 1 - (1 - confidence)^(1 / total), about 3.7 / total. 1 where all were, or there is none.
    """
    if count >= total:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(count, total, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(count: int, total: int, share: float) -> float:
    """Return the probability of at most `count` of `total`."""
    hit, miss = math.log(share), math.log1p(-share)
    whole = math.lgamma(total + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(total - k + 1) + k * hit + (total - k) * miss)
        for k in range(count + 1)
    )


def cases_needed(share: float, confidence: float = ONE_SIDED) -> int | None:
    """Return of how many cases none has to be seen to rule out more than `share`; None where no number would do."""
    if share <= 0:
        return None
    return 1 if share >= 1 else math.ceil(math.log(1 - confidence) / math.log1p(-share))
