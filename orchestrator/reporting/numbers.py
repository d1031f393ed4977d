"""Figures as text."""

from orchestrator.scoring import Summary

NOTHING = "-"
_BELOW_ONE = 0.999


def number_text(value: float | None, unit: str) -> str:
    """Return `value` with as many digits as its unit deserves; a fraction below 1 is never rounded up to it."""
    if value is None:
        return NOTHING
    return _plain(min(value, _BELOW_ONE) if unit == "fraction" and value < 1 else value, unit)


def _plain(value: float, unit: str, sign: str = "") -> str:
    if unit == "US dollars":
        return f"{value:{sign}.5f}" if abs(value) < 1 else f"{value:{sign}.2f}"
    value = value or 0.0  # no minus before a zero
    digits = 1 if unit in {"characters", "tokens"} else 3
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"


def interval_text(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    """Return `value` with its interval, such as `0.250 [0.101, 0.412]`, or alone where it has none."""
    text = number_text(value, unit)
    return text if low is None or high is None else f"{text} [{number_text(low, unit)}, {number_text(high, unit)}]"


def signed_text(value: float, low: float | None, high: float | None, unit: str) -> str:
    """Return a difference with its interval, such as `+0.250 [+0.101, +0.412]`."""
    numbers = [value] if low is None or high is None else [value, low, high]
    first, *rest = (_plain(number, unit, "+") for number in numbers)
    return first if not rest else f"{first} [{', '.join(rest)}]"


def unit_of(summary: Summary, metric: str) -> str:
    """Return the unit of a metric of `summary`."""
    return summary.metric_notes[metric].unit if metric in summary.metric_notes else "fraction"


def p_text(p: float) -> str:
    """Return a p-value with three digits."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"  # noqa: PLR2004 - three digits are shown
