"""The normaliser `norm`: what differs in a text without being read differently."""

import re
import unicodedata

# Joiners that change spelling (U+200C, U+200D) are kept.
_SPACES = re.compile(r"[\s\u200b\u2060\ufeff]+")
_LEADING = " *`\"'“”„‟«»\u2039\u203a\u2018\u2019\u201a\u201b"
_TRAILING = _LEADING + "."


def tidy(text: str) -> str:
    """Return `text` in NFC, every run of white or zero-width space as one space, bare of outer decoration.

    Decoration is quotes, `*` and backticks on both ends and periods at the end; a text of nothing else stays.
    Letters are never folded (no NFKC: it turns № into No). The result is its own normal form.
    """
    is_clean = text.isprintable() and "  " not in text and unicodedata.is_normalized("NFC", text)
    if not is_clean:
        text = _SPACES.sub(" ", unicodedata.normalize("NFC", text))
    return text.lstrip(_LEADING).rstrip(_TRAILING) or text.strip()


def tidy_spaces(text: str) -> str:
    """Return `text` with every run of white or zero-width space as one space, none outside."""
    return _SPACES.sub(" ", text).strip()
