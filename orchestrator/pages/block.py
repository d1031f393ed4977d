"""JSON that may stand in an HTML page: whatever it holds, the page reads it as text and goes on after it."""

import json
import re
from collections.abc import Mapping
from typing import Any

# `<` and `&` so that no tag, comment or entity begins, U+2028 and U+2029 since they end lines in scripts, and halves of
# surrogate pairs since UTF-8 has none.
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def to_block(value: Any) -> str:
    """Return `value` as JSON for the inside of a `<script type="application/json">`; JSON.parse gives it back."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def without_nothing(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` less those that say nothing: None, and what is empty."""
    return {name: value for name, value in values.items() if value is not None and value not in ("", [], {})}
