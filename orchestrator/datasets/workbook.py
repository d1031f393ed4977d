"""Read the first sheet of an xlsx file as texts, as near as can be to what a person sees in it."""

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from orchestrator.errors import BakeoffError

UNPACKED_BYTES = 100_000_000  # some 3 million cells; without pictures, which are not unpacked
PICTURE_BYTES = 1_000_000_000
SHEET_ROWS = 1_048_576  # as many as Excel has; the next one comes in a file that was made to be endless
SHEET_CELLS = 30_000_000  # counting the empty ones before the last of a row
_PICTURES = "xl/media/"
_ZEROS = frozenset("0")


def read_workbook(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of every row that has any.

    A number is written as Excel keeps it, with leading zeros where the cell's format is such as `00000`; a date as ISO
    8601; a formula as the value it had when the file was saved. Raises BakeoffError for what is no workbook, or a far
    larger one than it looks.
    """
    from openpyxl import load_workbook  # noqa: PLC0415 - 0.2 s, and only for workbooks

    _check_size(path)
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write a wrong size
            width = seen = 0
            for number, row in enumerate(sheet.iter_rows(), start=1):
                seen += len(row)
                _check_extent(path, number, seen)
                cells = [_text(cell) for cell in row]
                if any(cells):
                    width = width or len(cells)
                    yield number, cells + [""] * (width - len(cells))
        finally:
            book.close()
    except BakeoffError:
        raise
    except Exception as error:  # openpyxl lets through what zipfile, the parsers of XML and it itself raise
        raise BakeoffError(
            f"{path}: is not a readable xlsx workbook ({type(error).__name__}); save it again"
        ) from error


def _check_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [(entry.filename.startswith(_PICTURES), entry.file_size) for entry in archive.infolist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise BakeoffError(f"{path}: is not a readable xlsx workbook; save it again") from error
    for is_picture, most in ((False, UNPACKED_BYTES), (True, PICTURE_BYTES)):
        size = sum(size for of_picture, size in sizes if of_picture == is_picture)
        if size > most:
            raise BakeoffError(f"{path}: would be {size / 1e6:.0f} MB unpacked; save it as CSV UTF-8 instead")


def _check_extent(path: Path, rows: int, cells: int) -> None:
    """Raise BakeoffError where a few bytes name a cell so far away that all before it would take for ever."""
    if rows > SHEET_ROWS:
        raise BakeoffError(f"{path}: has a row beyond {SHEET_ROWS}, the last of a sheet; save it as CSV UTF-8 instead")
    if cells > SHEET_CELLS:
        told = f"has more than {SHEET_CELLS // 10**6} million cells by row {rows}, most of them empty"
        raise BakeoffError(f"{path}: {told}; save it as CSV UTF-8 instead")


def _text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004 - Excel's 15 digits
        value = int(value)
    if isinstance(value, int) and value >= 0:
        form = cell.number_format or ""
        return str(value).zfill(len(form)) if form and set(form) == _ZEROS else str(value)
    return str(value)
