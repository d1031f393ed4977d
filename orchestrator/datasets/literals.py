"""Lists of texts as JSON, or as the literals of other programs; nothing is ever evaluated."""

import ast
import json

LIST_CHARS = 1 << 20


def read_texts(cell: str) -> list[str] | None:
    """Return the texts of a list literal such as `['a', "b"]`, each once; None for anything else."""
    if cell[:1] != "[" or cell[-1:] != "]" or len(cell) > LIST_CHARS:
        return None
    try:
        items = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    fit = isinstance(items, list) and items and all(isinstance(item, str) for item in items)
    return list(dict.fromkeys(items)) if fit else None


def read_json_texts(cell: str) -> list[str] | None:
    """Return the texts of a JSON list; None for anything else."""
    try:
        texts = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else None
