"""A prompt set: one prompt whose text depends on the sample's class of document and type of question."""

import functools
import json
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from orchestrator.prompt.content import Prompt

Pair = tuple[str | None, str | None]
"""A class of document and a type of question, as a dataset has them."""

_SEPARATORS = ("__sep_", "_sep_")


class Table(NamedTuple):
    """What a set holds: texts by label, by pair, and for all other pairs (None: there are to be none)."""

    by_label: Mapping[str, str]
    by_pair: Mapping[tuple[str, ...], str]
    default: str | None


def normal(text: str | None) -> str:
    """Return `text` as it is compared: in NFC, each run of spaces one, a separator written out a space."""
    composed = unicodedata.normalize("NFC", text or "")
    for separator in _SEPARATORS:
        composed = composed.replace(separator, " ")
    return " ".join(composed.split())


def label(pair: Pair) -> str:
    """Return class and type joined by a space."""
    return " ".join(part for part in map(normal, pair) if part)


@functools.lru_cache(maxsize=256)
def table_of(text: str) -> Table:
    """Return the content of a set from its JSON."""
    content = json.loads(text)
    rows = [(tuple(key), prompt) for key, prompt in content["prompts"]]
    return Table(
        {key[0]: prompt for key, prompt in rows if len(key) == 1},
        {key: prompt for key, prompt in rows if len(key) > 1},
        content["default"],
    )


def find_template(prompt: Prompt, pair: Pair) -> str | None:
    """Return the text that the set has for `pair`, None where it has none."""
    return _find(prompt.text, pair)


@functools.lru_cache(maxsize=4096)
def _find(text: str, pair: Pair) -> str | None:
    table = table_of(text)
    own = table.by_pair.get((normal(pair[0]), normal(pair[1])), table.by_label.get(label(pair)))
    return table.default if own is None else own
