"""Equality of numbers, however they are written."""

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from orchestrator.errors import UsageError
from orchestrator.metrics.metric import Measure, Metric
from orchestrator.metrics.readings import equality

CONVENTIONS = {"point": (".", ","), "comma": (",", ".")}
"""The decimal separator of each convention, and the other mark, which then separates thousands."""

LONGEST = 64
GROUP = 3
_FIRST = re.compile("[1-9][0-9]{0,2}")
_UNITS = (
    *("%", "€", "$", "£", "¥", "₽", "₴", "₸", "₹", "₺", "₩", "₪", "zł", "Kč", "kr", "Fr", "грн", "тг"),
    *("руб", "р"),  # noqa: RUF001 - Cyrillic is meant
    *("EUR", "USD", "GBP", "JPY", "RUB", "RUR", "UAH", "KZT", "BYN", "INR", "CNY", "CHF", "PLN", "CZK", "SEK"),
    *("NOK", "DKK", "TRY", "AUD", "CAD", "BRL", "MXN", "MYR", "SGD", "IDR", "THB", "PHP", "VND", "HKD", "TWD", "KRW"),
    *("NZD", "ZAR", "AED", "SAR", "ILS", "EGP", "HUF", "RON", "BGN", "GEL", "AMD", "AZN", "KGS", "UZS", "MDL", "RMB"),
    *("RM", "S$", "US$", "HK$", "NT$", "A$", "AU$", "C$", "CA$", "NZ$", "R$", "Rs", "Rp", "฿", "₱", "₫", "₦", "₾"),
    *("֏", "₼", "Ft", "lei", "лв"),
)
# After these a point belongs to the abbreviation; after the others a point without a space is the number's.
_ABBREVIATIONS = ("Rs", "Rp", "Fr", "kr", "zł", "Kč", "Ft", "грн", "тг", "лв", "руб", "р")  # noqa: RUF001 - Cyrillic
_UNIT = (
    f"(?:(?:{'|'.join(_ABBREVIATIONS)})\\.?|"
    f"(?:{'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})(?:\\.(?![0-9]))?)"
)
_WHOLE = re.compile(
    rf"(?P<open>\()?(?:{_UNIT} ?)?(?P<sign>[-+\u2212])? ?(?:{_UNIT} ?)?"
    rf"(?P<digits>[.,]?[0-9][0-9., '\u2019]*?) ?(?:{_UNIT})?(?P<close>\))?",
    re.IGNORECASE,
)
_SPACES = re.compile(r"[\s\u00a0\u2007\u2009\u202f]+")


def number_equality(text: str, references: tuple[str, ...], *, conventions: Sequence[str]) -> Measure | str:
    """Return 1 where `text` is the number of a reference, else 0; `ambiguous` where the separators leave it open.

    All of `text` must be the number: its sign (or brackets, for less than none), digits in groups of three or in one,
    decimals (alone, too: `.50`), and a currency or % on either side, which is not compared. Leading zeros do not count.
    """
    return equality(partial(read_number, conventions=conventions), text, references)


def read_number(text: str, *, conventions: Sequence[str]) -> dict[str, Decimal]:
    """Return the number that `text` is, by each of `conventions` that allows it; empty where it is none."""
    plain = _SPACES.sub(" ", text).strip().rstrip(".") if len(text) <= LONGEST else ""
    found = _WHOLE.fullmatch(plain)
    if found is None or bool(found["open"]) != bool(found["close"]):
        return {}
    sign = -1 if found["open"] or found["sign"] in {"-", "\u2212"} else 1
    values = {name: _value(found["digits"], *CONVENTIONS[name]) for name in conventions}
    return {name: sign * value for name, value in values.items() if value is not None}


def _value(digits: str, decimal: str, thousands: str) -> Decimal | None:
    whole, _, fraction = digits.partition(decimal)
    if fraction and not fraction.isdecimal():
        return None
    marks = set(whole) - set("0123456789")
    if len(marks) > 1 or not marks <= {thousands, " ", "'", "\u2019"}:
        return None
    if not whole:
        return Decimal(f"0.{fraction}")
    first, *groups = whole.split(marks.pop()) if marks else [whole]
    if groups and not (_FIRST.fullmatch(first) and all(len(group) == GROUP for group in groups)):
        return None
    return Decimal("".join([first, *groups]) + (f".{fraction}" if fraction else ""))


def make_number(option: str) -> Metric:
    """Return the metric `number@option`: `number@point` or `number@comma`, or `number` for whatever is clear."""
    if option and option not in CONVENTIONS:
        raise UsageError(
            f"there is no metric 'number@{option}': write number@point (1,234.56) or number@comma (1.234,56)"
        )
    note = {"point": ", written 1,234.56", "comma": ", written 1.234,56"}.get(
        option, "; where , or . could mean either it is not scored (or @point, @comma)"
    )
    return Metric(
        name=f"number@{option}" if option else "number",
        description=f"share of answers that are the reference's number{note}",
        unit="fraction",
        direction="higher",
        function=partial(number_equality, conventions=(option,) if option else tuple(CONVENTIONS)),
    )
