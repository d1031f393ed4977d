"""Scales and ticks of plots."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_POWERS_FINE = 4  # more of them leave no room between them
QUARTERS_BELOW = 20.0  # steps of 2.5 need a digit more
LOGARITHMIC_FROM = 10.0  # times as much at the one end as at the other


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from `low` to `high` to pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Return the place of `value`."""
        low, high, here = (math.log10(v) if self.is_log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (here - low) / (high - low)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Return about `count` round values with their texts."""
        if self.is_log:
            return _log_ticks(self.low, self.high)
        step = _round_step((self.high - self.low) / count)
        first = math.ceil(self.low / step - 1e-9)
        values = [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        digits = max(0, -math.floor(math.log10(step) + 1e-9)) + (_is_quarter(step) and step < QUARTERS_BELOW)
        return [(value, f"{value + 0.0:.{digits}f}") for value in values]


def scale_for(values: Iterable[float], start: float, end: float, *, may_be_log: bool = False) -> Scale:
    """Return a scale with room for `values` and a little more; logarithmic where they differ by 10 times."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if may_be_log and low > 0 and high / low >= LOGARITHMIC_FROM:
        room = (high / low) ** 0.08
        return Scale(low / room, high * room, start, end, is_log=True)
    room = 0.06 * (high - low) or abs(high) * 0.1 or 0.5
    return Scale(low - room, high + room, start, end)


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return 1, 2 and 5 times powers of ten between the two; the powers alone where these are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1.0, 2.0, 5.0) if len(powers) <= _POWERS_FINE else (1.0,)
    values = [step * 10.0**power for power in powers for step in steps]
    return [(value, f"{value:g}") for value in values if low <= value <= high]


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _STEPS if step * power >= least * (1 - 1e-9))


def _is_quarter(step: float) -> bool:
    return math.isclose(step / 10 ** math.floor(math.log10(step) + 1e-9), 2.5)
