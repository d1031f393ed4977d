"""Text that a spreadsheet would run as a formula, made harmless."""

import re

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")  # noqa: RUF001 - the wide ones are read as formulas, too


def guarded(text: str) -> str:
    """Return `text`, after an apostrophe where a spreadsheet would take it for a formula (OWASP, CSV injection)."""
    return f"'{text}" if _FORMULA.match(text) else text
