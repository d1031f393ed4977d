"""`summary.md`: the tables of a report as Markdown, for issues, wikis and papers."""

import re
from collections.abc import Sequence

from orchestrator.reporting.tabular import Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")
# Where GitHub makes links without being asked: of addresses of pages, of letters, and of names of its people. It looks
# for most of them after escapes were read, so that only a letter between tells it otherwise.
_LINKS = re.compile(r"www(?=\.)|:(?=//)|@(?=[\w-]+\.\w)|(?<!\w)@(?=\w)", re.IGNORECASE)
_NO_SPACE = "&#8203;"


def to_markdown(tables: Sequence[Table]) -> str:
    """Return `tables` as GitHub's Markdown; nothing in them is read as Markdown or HTML."""
    return "\n".join(line for table in tables for line in (*_table_lines(table), ""))


def _table_lines(table: Table) -> list[str]:
    rule = ["---" if place < table.labels else "---:" for place in range(len(table.header))]
    return [
        f"## {_plain(table.title)}",
        "",
        _row([_plain(name) for name in table.header]),
        _row(rule),
        *(_row([_plain(cell) for cell in row]) for row in table.rows),
        *(line for note in table.notes for line in ("", f"- {_plain(note)}")),
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else f"⟨U+{ord(letter):04X}⟩" for letter in " ".join(text.split()))
    return _LINKS.sub(rf"\g<0>{_NO_SPACE}", _SPECIAL.sub(r"\\\1", shown))
