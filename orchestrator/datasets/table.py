"""Read a table that people wrote: every cell a string as it stands, every defect with its line."""

import csv
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.datasets.workbook import read_workbook
from orchestrator.errors import BakeoffError

SUFFIXES = (".csv", ".tsv", ".xlsx")
SPLIT_SUFFIX = ".split.csv"  # a part of a dataset beside the whole
_DELIMITERS = (",", ";", "\t")
_CELL_LIMIT = 64 * 2**20
_OPENS_LIST = re.compile(r"[\s“”„«\"']*\[[^\]]*")
_SAVE_AS = "save it as 'CSV UTF-8'"


@dataclass(frozen=True, slots=True)
class Row:
    """One record; `line` is where it starts, counted from 1."""

    line: int
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A file whose header was read; `columns` are as written, without the spaces around them."""

    path: Path
    delimiter: str
    columns: tuple[str, ...]

    def rows(self) -> Iterator[Row]:
        """Yield the records below the header, one by one; a record whose cells are all empty is passed over.

        Raises BakeoffError for a record with more or fewer cells than the header, or with broken quoting.
        """
        records = _records(self.path, self.delimiter)
        next(records)
        for row in records:
            if any(row.cells):
                yield row if len(row.cells) == len(self.columns) else self._fitted(row)

    def _fitted(self, row: Row) -> Row:
        width = len(self.columns)
        for cells in (row.cells, _rejoined(row.cells, self.delimiter)):
            if len(cells) >= width and not any(cells[width:]):
                return Row(row.line, cells[:width])
        remedy = (
            f"put quotes around a cell that holds '{self.delimiter}'"
            if len(row.cells) > width
            else "add the missing ones"
        )
        problem = f"has {len(row.cells)} cells, the header has {width}"
        raise BakeoffError(f"{self.path}, line {row.line}: {problem}; {remedy.replace(chr(9), 'a tab')}")


def open_table(path: Path) -> Table:
    """Read the header of `path` and tell its separator from it.

    Raises BakeoffError where the file cannot be read, is empty, is not UTF-8 or names a column twice.
    """
    delimiters = _DELIMITERS[:1] if path.suffix.lower() == ".xlsx" else _DELIMITERS  # a workbook has none
    headers = {delimiter: _header(path, delimiter) for delimiter in delimiters}
    delimiter = max(headers, key=lambda d: len(headers[d]))
    columns = tuple(name.strip() for name in headers[delimiter])
    plain = [plain_name(name) for name in columns]
    twice = next((name for name in columns if name and plain.count(plain_name(name)) > 1), None)
    if twice is not None:
        raise BakeoffError(f"{path}: column '{twice}' is there twice; rename or remove one")
    return Table(path, delimiter, columns)


def find_table(path: Path, preferred: str | None = None) -> Path | None:
    """Return the table that is `path`, or the one in the folder `path`: `preferred`, else the only one."""
    if path.is_file():
        return path if path.suffix.lower() in SUFFIXES else None
    found = sorted(filter(_is_whole, path.iterdir())) if path.is_dir() else []
    named = [p for p in found if p.name.lower() == preferred]
    candidates = named or found
    return candidates[0] if len(candidates) == 1 else None


def _is_whole(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.lower().endswith(SPLIT_SUFFIX) and path.is_file()


def place(columns: Sequence[str], spellings: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Map each field of `spellings` to the position of its column; an earlier spelling wins over a later one.

    Case, spaces and punctuation in a column's name do not matter. Fields without a column are left out.
    """
    positions: dict[str, int] = {}
    for position, name in enumerate(columns):
        positions.setdefault(plain_name(name), position)
    found: dict[str, int] = {}
    for field, names in spellings.items():
        known = next((positions[n] for n in names if n in positions), None)
        if known is not None:
            found[field] = known
    return found


def missing_column(table: Table, field: str, names: Iterable[str]) -> BakeoffError:
    """Return the sentence that `table` has no column for `field`, with what it has and the likely one."""
    near = nearest_column(table.columns, names)
    remedy = f"; is it '{near}'? Rename that" if near is not None else ""
    came = ", ".join(name or "''" for name in table.columns)
    return BakeoffError(f"{table.path}: there is no column '{field}' (there are: {came}){remedy}")


def nearest_column(columns: Sequence[str], names: Iterable[str]) -> str | None:
    """Return the column whose name is almost one of the spellings `names`, if there is one."""
    wanted = tuple(names)
    scores = {c: max(difflib.SequenceMatcher(None, plain_name(c), n).ratio() for n in wanted) for c in columns}
    best = max(scores, key=lambda c: scores[c], default=None)
    return best if best is not None and scores[best] >= 0.8 else None  # noqa: PLR2004 - one letter in five


def label(columns: Sequence[str], position: int) -> str:
    """Return the name of the column at `position`, or its number where it has none."""
    return columns[position] or f"column_{position + 1}"


def plain_name(name: str) -> str:
    """Return a column's name without what does not matter in it: case, spaces, punctuation."""
    return "".join(c for c in name.casefold() if c.isalnum())


def _header(path: Path, delimiter: str) -> list[str]:
    row = next(_records(path, delimiter, strict=False), None)
    if row is None:
        raise BakeoffError(f"{path}: is empty; its first line should name the columns")
    cells = list(row.cells)
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _records(path: Path, delimiter: str, *, strict: bool = True) -> Iterator[Row]:
    """Yield the records of `path`, blank lines left out; lax, a quote in an odd place is taken as it is."""
    if path.suffix.lower() == ".xlsx":
        yield from (Row(line, cells) for line, cells in read_workbook(path))
        return
    csv.field_size_limit(_CELL_LIMIT)
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(_without_nul(file, path), delimiter=delimiter, strict=strict)
            for cells in reader:
                if cells:
                    yield Row(line, cells)
                line = reader.line_num + 1
    except csv.Error as error:
        raise BakeoffError(
            f"{path}, line {line}: the quoting is broken ({error}); double a quote inside quotes"
        ) from error
    except UnicodeDecodeError as error:
        raise BakeoffError(f"{path}, line {_undecodable_line(path)}: is not UTF-8 text; {_SAVE_AS}") from error
    except OSError as error:
        raise BakeoffError(f"{path}: cannot be read: {error.strerror or error}") from error


def _without_nul(lines: Iterable[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise BakeoffError(f"{path}, line {number}: holds NUL bytes, so it is not UTF-8 text; {_SAVE_AS}")
        yield line


def _undecodable_line(path: Path) -> int:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                raw.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _rejoined(cells: Sequence[str], delimiter: str) -> list[str]:
    """Mend a list that was cut at its commas: the curly quotes of `“[10,20,30,40]”` hold nothing together."""
    joined: list[str] = []
    open_list = False
    for cell in cells:
        if open_list:
            joined[-1] += delimiter + cell
            open_list = "]" not in cell
        else:
            joined.append(cell)
            open_list = _OPENS_LIST.fullmatch(cell) is not None
    return joined
