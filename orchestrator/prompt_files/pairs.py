"""Read a prompt set: a csv with a prompt for each class of document and type of question."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from orchestrator.datasets.table import missing_column, open_table, place
from orchestrator.errors import BakeoffError
from orchestrator.identity import canonical
from orchestrator.prompt.content import Prompt, digest
from orchestrator.prompt.fields import check_fields
from orchestrator.prompt.pairs import normal

SUFFIXES = (".csv",)
DEFAULT = "default"
_TEXT = ("optimalprompt", "optimalprompts", "optimalpromt", "optimalpromts", "prompt", "prompttext", "template")
_JOINED = {
    "doc type question type": tuple(
        f"{kind}{between}questiontype"
        for kind in ("doctype", "docclass", "documenttype", "documentclass")
        for between in ("", "and", "sep")
    ),
    "optimal prompt": _TEXT,
}
_APART = {
    "doc_class": ("docclass", "doctype", "documentclass", "documenttype"),
    "question_type": ("questiontype",),
    "optimal prompt": _TEXT,
}


class _Row(NamedTuple):
    line: int
    key: tuple[str, ...]  # (label,), or (class, type) where the file has them apart
    text: str


def read_set(path: Path, name: str) -> Prompt:
    """Read a csv with a prompt a row; raise BakeoffError naming the first line that is wrong.

    The first column holds class and type joined by a space, or two columns hold them apart.
    """
    rows: dict[tuple[str, ...], _Row] = {}
    for row in _rows(path):
        before = rows.setdefault(row.key, row)
        if before is not row:
            shown = " / ".join(row.key)
            raise BakeoffError(f"{path}, line {row.line}: '{shown}' is in line {before.line} already; keep one of them")
    if not rows:
        raise BakeoffError(f"{path}: the prompt set is empty; give it a row for each class of document and question")
    default = rows.pop((DEFAULT,), None)
    listed = [[list(key), rows[key].text] for key in sorted(rows)]
    text = canonical({"default": default.text if default else None, "prompts": listed})
    return Prompt(name, text, None, digest(text, None, "set"), kind="set")


def _rows(path: Path) -> Iterator[_Row]:
    table = open_table(path)
    found = place(table.columns, _JOINED)
    if not found.keys() >= _JOINED.keys() and (apart := place(table.columns, _APART)).keys() >= _APART.keys():
        found = apart
    elif missing := next((field for field in _JOINED if field not in found), None):
        raise missing_column(table, missing, _JOINED[missing])
    text_at = found.pop("optimal prompt")
    for row in table.rows():
        parts = [normal(row.cells[position]) for position in found.values()]
        where, text = f"{path}, line {row.line}", row.cells[text_at].strip()
        if not any(parts):
            remedy = f"write its class and type of question, or '{DEFAULT}' for all that have no row"
            raise BakeoffError(f"{where}: the row does not say what it is for; {remedy}")
        if not text:
            raise BakeoffError(
                f"{where}: the prompt for '{' '.join(parts).strip()}' is empty; write it or drop the row"
            )
        check_fields(text, where)
        is_default = "".join(parts).lower() == DEFAULT
        yield _Row(row.line, (DEFAULT,) if is_default else tuple(parts), text)
