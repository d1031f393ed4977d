"""Equality of dates, however they are written."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from functools import partial

from orchestrator.errors import UsageError
from orchestrator.metrics.metric import Measure, Metric
from orchestrator.metrics.readings import equality

ORDERS = ("dmy", "mdy")
"""How a date of three numbers is read that does not begin with the year."""

CENTURY_FROM = 1969
LONGEST = 64
_SPACES = re.compile(r"\s+")
_YEAR_END = r"(?P<y>\d{4}|\d{2})(?: ?(?:года|г\.?))?"  # noqa: RUF001 - Cyrillic is meant
_MONTH = r"(?P<name>[^\W\d_]{3,12})\.?"
_NUMBERS = re.compile(rf"(?P<a>\d{{1,2}})(?P<mark>[-./ ]) ?(?P<b>\d{{1,2}})(?P=mark) ?{_YEAR_END}")
_OTHERS = (
    re.compile(r"(?P<y>\d{4})(?P<mark>[-./ ]) ?(?P<m>\d{1,2})(?P=mark) ?(?P<d>\d{1,2})\.?"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"),
    re.compile(rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th|er|\.)?(?: of| de)?[- /.]{_MONTH}(?:,? |[-/.]){_YEAR_END}"),
    re.compile(rf"{_MONTH} (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? {_YEAR_END}"),
    re.compile(rf"(?P<y>\d{{4}})[- /.]{_MONTH}[- /.](?P<d>\d{{1,2}})"),
)
# The months' names and their usual abbreviations in English, French, German and Russian (nominative and genitive).
_MONTHS = (
    "january jan januar jänner jän janvier janv январь января янв",
    "february feb februar feber février fevrier févr fevr fév fev февраль февраля февр фев",
    "march mar märz maerz mär mrz mars март марта мар",
    "april apr avril avr апрель апреля апр",
    "may mai май мая",
    "june jun juni juin июнь июня июн",
    "july jul juli juillet juil июль июля июл",
    "august aug août aout авг август августа",
    "september sep sept septembre сентябрь сентября сент сен",
    "october oct oktober okt octobre октябрь октября окт",
    "november nov novembre ноябрь ноября нояб ноя",
    "december dec dezember dez décembre decembre déc декабрь декабря дек",
)
_BY_NAME = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}


def date_equality(
    text: str, references: tuple[str, ...], *, orders: Sequence[str], century_from: int = CENTURY_FROM
) -> Measure | str:
    """Return 1 where `text` is the date of a reference, else 0; `ambiguous` where day and month could be either.

    All of `text` must be the date: three numbers, the year first or last, or eight digits as YYYYMMDD (ISO 8601, basic
    format), or a month by its name. A year of two digits
    is one of the hundred years from `century_from` on (1969: POSIX, strptime's %y).
    """
    return equality(partial(read_date, orders=orders, century_from=century_from), text, references)


def read_date(text: str, *, orders: Sequence[str], century_from: int = CENTURY_FROM) -> dict[str, date]:
    """Return the date that `text` is, by each of `orders` that allows it; empty where it is none."""
    plain = unicodedata.normalize("NFC", _SPACES.sub(" ", text).strip().lower()) if len(text) <= LONGEST else ""
    if found := _NUMBERS.fullmatch(plain):
        year = _year(found["y"], century_from)
        first, second = int(found["a"]), int(found["b"])
        days = {order: _date(year, *((second, first) if order == "dmy" else (first, second))) for order in orders}
    else:
        found = next(filter(None, (pattern.fullmatch(plain) for pattern in _OTHERS)), None)
        if found is None:
            return {}
        groups = found.groupdict()
        month = _month(groups["name"]) if "name" in groups else int(groups["m"])
        days = dict.fromkeys(orders, _date(_year(groups["y"], century_from), month, int(groups["d"])))
    return {order: day for order, day in days.items() if day is not None}


def _year(digits: str, century_from: int) -> int:
    if len(digits) == len("2026"):
        return int(digits)
    return century_from + (int(digits) - century_from) % 100


def _month(name: str) -> int:
    return _BY_NAME.get(name, 0)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def make_date(option: str) -> Metric:
    """Return the metric `date@option`, such as `date@dmy`, or `date@dmy-1926` for years of two digits from 1926 on."""
    order, _, first = option.partition("-")
    if (option and order not in ORDERS) or (first and not (first.isdecimal() and len(first) == len("2026"))):
        raise UsageError(
            f"there is no metric 'date@{option}': write date@dmy or date@mdy, and where years have two digits, the "
            "first of the hundred that are meant, as date@dmy-1926"
        )
    note = (
        f", three numbers read as {order}"
        if order
        else "; where day and month could be either it is not scored (or @dmy, @mdy)"
    )
    return Metric(
        name=f"date@{option}" if option else "date",
        description=f"share of answers that are the reference's date{note}",
        unit="fraction",
        direction="higher",
        function=partial(
            date_equality, orders=(order,) if order else ORDERS, century_from=int(first) if first else CENTURY_FROM
        ),
    )
