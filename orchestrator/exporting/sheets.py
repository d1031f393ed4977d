"""Rows for spreadsheets: nothing that a program would run or refuse, and a note of each cell that had to be changed."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import BakeoffError
from orchestrator.formulas import guarded

CELL_CHARS = 32_767  # what a cell of Excel holds
SHEET_ROWS = 1_048_576
CHANGED = "changed"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_CUT = " … [cut: {} characters]"


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write a UTF-8 file with a byte-order mark, by which Excel knows it; return the number of rows.

    A text that a spreadsheet would take for a formula begins with an apostrophe (OWASP, CSV injection). The last
    column names the columns of which a cell was changed.
    """
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        header = [_safe_header(name) for name in columns]
        writer.writerow([*header, CHANGED])
        for row in rows:
            cells, changes = [], []
            for name, value in zip(header, row, strict=True):
                plain = _plain(value)
                safe = guarded(_clean(plain)) if isinstance(plain, str) else plain
                cells.append(safe)
                if safe != plain:
                    changes.append(name)
            writer.writerow([*cells, " ".join(changes)])
            count += 1
    return count


def write_xlsx(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write a workbook in which every text is a text, whatever it begins with; return the number of rows.

    More rows than a sheet holds go on in the next one.
    """
    from openpyxl import Workbook  # noqa: PLC0415 - 0.2 s, and only for this form
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415 - as above

    book = Workbook(write_only=True)
    header = [_one_break(name) for name in columns]
    count, sheet = 0, None

    def text_cell(sheet: Any, text: str) -> Any:
        cell = WriteOnlyCell(sheet, value=text)
        cell.data_type = "s"  # else what begins with = is a formula, and #N/A an error
        return cell

    def next_sheet() -> Any:
        made = book.create_sheet(f"predictions {count // (SHEET_ROWS - 1) + 1}")
        made.append([*(text_cell(made, name) for name in header), CHANGED])
        return made

    for row in rows:
        if sheet is None or count % (SHEET_ROWS - 1) == 0:
            sheet = next_sheet()
        cells: list[Any] = []
        changes = []
        for name, value in zip(header, row, strict=True):
            plain = _plain(value)
            if isinstance(plain, str):
                safe = _one_break(plain)
                cells.append(text_cell(sheet, safe))
                if safe != plain:
                    changes.append(name)
            else:
                cells.append(plain)
        sheet.append([*cells, " ".join(changes)])
        count += 1
    if sheet is None:
        next_sheet()
    try:
        book.save(path)
    except OSError as error:
        raise BakeoffError(f"{path}: cannot be written: {error.strerror or error}") from error
    return count


def _plain(value: Any) -> str | float | None:
    """Return a cell's value: a list of one text is that text, anything else with parts is JSON."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False) if value else None
    if isinstance(value, str | int | float) or value is None:
        return value
    return str(value)


def _one_break(text: str) -> str:
    """Return `text` as a workbook can hold it: XML has but one line break."""
    return _clean(text.replace("\r", "\u240d"))


def _clean(text: str) -> str:
    """Return `text` as a cell can hold it: control characters as pictures of them, cut where it is too long."""
    if _CONTROL.search(text):
        text = _CONTROL.sub(_picture, text)
    if len(text) <= CELL_CHARS:
        return text
    told = _CUT.format(len(text))
    return text[: CELL_CHARS - len(told)] + told


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:  # noqa: PLR2004 - the first printable character
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"  # noqa: PLR2004 - delete


def _safe_header(name: str) -> str:
    return guarded(_clean(name))


def flat_rows(rows: Iterable[dict[str, Any]], columns: Sequence[str], metadata: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the values of `columns` and of the samples' `metadata` for each row."""
    for row in rows:
        yield [*(row.get(name) for name in columns), *(row["metadata"].get(name) for name in metadata)]
