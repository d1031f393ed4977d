"""Names that become files."""

import re

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RULE = "use Latin letters, digits, '.', '_' and '-', at most 100 and a letter or digit first"


def is_plain_name(name: str) -> bool:
    """Tell whether `name` can be a file's name everywhere: no separators, no leading dot, at most 100 characters."""
    return _PLAIN.fullmatch(name) is not None


def find_bad_name(names: list[str]) -> str | None:
    """Return one sentence about the first of `names` that cannot be a file's, or that another equals but for case."""
    seen: dict[str, str] = {}
    for name in names:
        if not is_plain_name(name):
            return f"'{name}' cannot name a model: {RULE}"
        if seen.setdefault(name.lower(), name) != name:
            return f"'{name}' and '{seen[name.lower()]}' differ in case alone, which some disks cannot keep apart"
    return None
