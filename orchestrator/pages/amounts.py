"""What answers took as people say it: money, time and tokens."""

import math
from collections.abc import Callable, Iterator

from orchestrator.pages.totals import Totals
from orchestrator.reporting.numbers import NOTHING
from orchestrator.scoring.spent import Amount

SHORTEST_S = 0.01  # what takes less takes nothing that anybody would choose by


def spent_texts(totals: Totals) -> Iterator[tuple[str, str]]:
    """Yield for dollars per 1,000 answers, time, and tokens in and out: the mean, and what has to be said below it.

    How many answers it is known of is said beside the time alone where it is the same for all.
    """
    time, asked = totals.spent("latency_s"), totals.asked
    usual = time.known or asked
    yield _texts(totals.spent("cost"), asked, usual, lambda v: dollars_text(1000 * v), _dollars_in_all)
    yield _texts(time, asked, asked, seconds_text, _long_time)
    for name in ("input_tokens", "output_tokens"):
        yield _texts(totals.spent(name), asked, usual, "{:,.0f}".format, "{:,.0f}".format)


def _texts(
    amount: Amount, asked: int, usual: int, each: Callable[[float], str], total: Callable[[float], str]
) -> tuple[str, str]:
    if amount.mean is None:
        return NOTHING, ""
    partly = f"\nknown of {amount.known:,}/{asked:,}" if amount.known < asked and amount.known != usual else ""
    return each(amount.mean), f"{total(amount.total)} in all{partly}"


def dollars_text(dollars: float) -> str:
    """Return a price with the digits that matter."""
    if dollars >= 100:  # noqa: PLR2004 - nobody needs the cents
        return f"${dollars:,.0f}"
    digits = 2 if dollars <= 0 else max(2, 1 - math.floor(math.log10(dollars * 1.01)))
    return f"${dollars:.{digits}f}"


def _dollars_in_all(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 1 else f"${dollars:.4f}"


def seconds_text(seconds: float) -> str:
    """Return the time of one answer with the digits that matter."""
    if 0 < seconds < SHORTEST_S:
        return f"under {SHORTEST_S} s"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:,.0f} s"  # noqa: PLR2004 - as above


def _long_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"
