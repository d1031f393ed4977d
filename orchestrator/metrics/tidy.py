"""The normaliser `norm`: what differs in a text without being read differently."""

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

# Joiners that change spelling (U+200C, U+200D) are kept.
_SPACES = re.compile(r"[\s\u200b\u2060\ufeff]+")
_LEADING = " *`\"'“”„‟«»\u2039\u203a\u2018\u2019\u201a\u201b"
_TRAILING = _LEADING + "."

# Texts are looked at together, an odd space between them. _PLAIN are the letters and signs of commoner scripts that are
# NFC in any company: what is not among them is looked at alone.
_BETWEEN = "\x1e"
_PLAIN = (
    (0x20, 0x7E),
    (0xA1, 0x2FF),
    (0x400, 0x482),
    (0x48A, 0x52F),
    (0x2010, 0x2027),
    (0x2116, 0x2116),
    (0x4E00, 0x9FFF),
)


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


def tidy_many(texts: list[str]) -> list[str]:
    """Return what `tidy` makes of each of `texts`; those that are tidy already cost little."""
    doubtful = _find_doubtful(texts)
    if not doubtful:
        return texts
    tidied = texts.copy()
    for row in doubtful:
        tidied[row] = tidy(texts[row])
    return tidied


def _find_doubtful(texts: list[str]) -> list[int]:
    """Return the rows of the texts that might not be tidy."""
    joined = f"{_BETWEEN}{_BETWEEN.join(texts)}{_BETWEEN}"
    codes: NDArray[np.uint8] | NDArray[np.uint16]
    if joined.isascii():
        codes = np.frombuffer(joined.encode("ascii"), np.uint8)
        is_odd = (codes[1:] < ord(" ")) | (codes[1:] > ord("~"))
    else:  # a pair of surrogates counts as two doubtful letters
        codes = np.frombuffer(joined.encode("utf-16-le", "surrogatepass"), np.uint16)
        is_odd = ~_IS_PLAIN[codes[1:]]
    marks = np.flatnonzero(codes == ord(_BETWEEN))
    if len(marks) != len(texts) + 1:
        return list(range(len(texts)))
    is_space = codes == ord(" ")
    is_odd |= is_space[1:] & is_space[:-1]
    is_odd[marks[1:] - 1] = False
    is_odd[marks[:-1]] |= _IS_LEADING[codes[marks[:-1] + 1]]
    is_odd[marks[1:] - 2] |= _IS_TRAILING[codes[marks[1:] - 1]]
    rows: list[int] = np.unique(np.searchsorted(marks, np.flatnonzero(is_odd), side="right") - 1).tolist()
    return rows


def _table(codes: list[int]) -> NDArray[np.bool_]:
    table = np.zeros(0x10000, np.bool_)
    table[codes] = True
    return table


_IS_PLAIN = _table([code for first, last in _PLAIN for code in range(first, last + 1)])
_IS_LEADING = _table(list(map(ord, _LEADING)))
_IS_TRAILING = _table(list(map(ord, _TRAILING)))
