"""Lists of texts that other programs write as Python or JSON literals; nothing is ever evaluated."""

import ast

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
