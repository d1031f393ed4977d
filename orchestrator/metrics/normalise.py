"""Named, versioned ways of making texts comparable; a change of behaviour is a new version."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

# Joiners that change spelling (U+200C, U+200D) are kept.
_SPACES = re.compile(r"[\s\u200b\u2060\ufeff]+")
_LEADING = " *`\"'“”„‟«»\u2039\u203a\u2018\u2019\u201a\u201b"
_TRAILING = _LEADING + "."


@dataclass(frozen=True, slots=True)
class Normaliser:
    """A function from text to text whose behaviour its name and version stand for."""

    name: str
    version: int
    function: Callable[[str], str]

    @property
    def label(self) -> str:
        """What is stored with each score, such as `norm_v1`."""
        return f"{self.name}_v{self.version}"


def tidy(text: str) -> str:
    """Return `text` in NFC, every run of white or zero-width space as one space, bare of outer decoration.

    Decoration is quotes, `*` and backticks on both ends and periods at the end; a text of nothing else stays.
    Letters are never folded (no NFKC: it turns № into No). The result is its own normal form.
    """
    is_clean = text.isprintable() and "  " not in text and unicodedata.is_normalized("NFC", text)
    if not is_clean:
        text = _SPACES.sub(" ", unicodedata.normalize("NFC", text))
    return text.lstrip(_LEADING).rstrip(_TRAILING) or text.strip()


def tidy_casefold(text: str) -> str:
    """Return `tidy(text)` with upper and lower case made alike (Unicode casefold, then NFC again)."""
    return unicodedata.normalize("NFC", tidy(text).casefold())


NORM = Normaliser("norm", 1, tidy)
NORM_CI = Normaliser("norm_ci", 1, tidy_casefold)
