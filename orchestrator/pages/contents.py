"""What goes into the page's template: its data, its script and style, and the policy that lets no other run."""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from orchestrator.pages.block import to_block
from orchestrator.pages.matrix import Matrix
from orchestrator.pages.short_names import short_parts
from orchestrator.scoring import Summary
from orchestrator.scoring.cell_name import params_text

if TYPE_CHECKING:
    from markupsafe import Markup

_BREAKS = re.compile("[_=/]")
SCRIPTS = ("parts.js", "diff.js", "data.js", "cells.js", "matrix.js", "address.js", "detail.js", "page.js")


def page_data(summary: Summary, matrix: Matrix, samples: Sequence[dict[str, Any]], pages: int) -> dict[str, Any]:
    """Return what the script reads: metrics, columns, samples and answers, with each text once."""
    longest = matrix.texts.fit(pages)
    main = [name for name in summary.compared.metrics if name in summary.metrics] or list(summary.metrics[:1])
    return {
        "metrics": [
            {
                "name": name,
                "direction": note.direction if (note := summary.metric_notes.get(name)) else "higher",
                "isFraction": bool(note and note.unit == "fraction"),
                "unit": note.unit if note else "",
                "isMain": name in main,
            }
            for name in summary.metrics
        ],
        "columns": [
            {"model": model, "params": params_text(params), "prompt": prompt, "short": " / ".join(parts[1:])}
            for (model, params, prompt), parts in short_parts(matrix.columns).items()
        ],
        "texts": matrix.texts.values,
        "more": matrix.texts.more,
        "longest": longest,
        "samples": samples,
        "cells": matrix.cells,
    }


def listed(values: Sequence[Any]) -> Iterator[str]:
    """Yield a JSON list in parts."""
    yield "["
    for number, value in enumerate(values):
        yield f"{',' if number else ''}{to_block(value)}"
    yield "]"


def breakable(text: str) -> "Markup":
    """Return `text` for HTML that may go on in another line after `_`, `=` and `/`, rather than within a number."""
    from markupsafe import Markup, escape  # noqa: PLC0415 - only for pages

    return Markup(_BREAKS.sub(r"\g<0><wbr>", str(escape(text))))  # noqa: S704 - all that is not ours is escaped


def policy_of(style: str, script: str) -> str:
    """Return a content security policy: our script and style by their digests, images from within, nothing else."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def asset(name: str) -> str:
    """Return the text of a file beside this module."""
    return files("orchestrator.pages").joinpath(name).read_text("utf-8")
