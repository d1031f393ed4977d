"""Prompts: plain texts, sets and chats, as they are filled in for a sample."""

from orchestrator.prompt.asking import Asked, ask, render
from orchestrator.prompt.chat import identify, images_of, turns_of
from orchestrator.prompt.content import Image, Kind, Prompt, digest
from orchestrator.prompt.fields import FIELDS, fields
from orchestrator.prompt.pairs import Pair, Table, find_template, label, normal, table_of

__all__ = [
    "FIELDS",
    "Asked",
    "Image",
    "Kind",
    "Pair",
    "Prompt",
    "Table",
    "ask",
    "describe",
    "digest",
    "fields",
    "find_template",
    "identify",
    "images_of",
    "label",
    "normal",
    "render",
    "table_of",
]

_SHOWN = 70


def describe(prompt: Prompt) -> str:
    """Return a line about `prompt`: its own description, or how it begins."""
    if prompt.kind == "set":
        table = table_of(prompt.text)
        names = [*table.by_label, *map(" ".join, table.by_pair), *(["default"] if table.default else [])]
        shown = f"set of {len(names)}: {', '.join(names)}"
    elif prompt.kind == "chat":
        turns = turns_of(prompt.text)
        texts = [part["text"] for part in turns[-1]["content"] if part["type"] == "text"]
        examples = f", {len(prompt.images)} example images" if prompt.images else ""
        shown = f"chat of {len(turns)} turns{examples}: {' '.join(texts)}"
    else:
        shown = prompt.text
    return prompt.description or shown.replace("\n", " ")[:_SHOWN]
