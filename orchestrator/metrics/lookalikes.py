"""Cyrillic and Latin letters that look alike, as one script."""

import re
from collections.abc import Sequence
from typing import Literal

Script = Literal["cyrillic", "latin"]

# Letter for letter what prints alike in common faces; Unicode's confusables (UTS 39) hold more than that.
_CYRILLIC = "АВЕКМНОРСТУХЅІЈаеорсухѕіј"  # noqa: RUF001 - Cyrillic is meant
_LATIN = "ABEKMHOPCTYXSIJaeopcyxsij"
_TO_LATIN = str.maketrans(_CYRILLIC, _LATIN)
_TO_CYRILLIC = str.maketrans(_LATIN, _CYRILLIC)
_WORD = re.compile(r"[^\W\d_]+")
_ALL_CYRILLIC = re.compile(r"[\u0400-\u052f]")
_ALL_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_ONLY_CYRILLIC = re.compile(f"(?![{_CYRILLIC}])[\u0400-\u052f]")
_ONLY_LATIN = re.compile(f"(?![{_LATIN}])[A-Za-z\u00c0-\u024f]")


def script_of(texts: Sequence[str]) -> Script | None:
    """Return the script of most letters of `texts`, Cyrillic of as many; None where they have neither."""
    joined = " ".join(texts)
    cyrillic, latin = len(_ALL_CYRILLIC.findall(joined)), len(_ALL_LATIN.findall(joined))
    if not cyrillic and not latin:
        return None
    return "cyrillic" if cyrillic >= latin else "latin"


def fold_lookalikes(text: str, script: Script | None) -> str:
    """Return `text` with each word's look-alikes in one script: that of its other letters, or else `script`.

    A word with one letter that only Cyrillic has is Cyrillic; one like COPT, which may be either, is what the
    reference is.
    """
    return _WORD.sub(lambda found: _fold_word(found[0], script), text)


def _fold_word(word: str, script: Script | None) -> str:
    is_cyrillic, is_latin = bool(_ONLY_CYRILLIC.search(word)), bool(_ONLY_LATIN.search(word))
    if is_cyrillic != is_latin:
        script = "cyrillic" if is_cyrillic else "latin"
    if script is None:
        return word
    return word.translate(_TO_CYRILLIC if script == "cyrillic" else _TO_LATIN)
