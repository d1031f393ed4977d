"""Show things to a person: results on stdout, all else on stderr; the only module that imports rich."""

import io
import os
import re
import sys
import time
from types import TracebackType
from typing import Protocol, Self

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

# Controls (C0 but tab and newline, C1), what turns the direction of text, what breaks lines or is not seen at all, and
# halves of surrogate pairs. The joiners U+200C and U+200D stay: Persian, Hindi and families of emoji need them.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
PLAIN_EVERY_S = 10.0
PIPE_WIDTH = 100
# Every row is padded to the longest cell: one answer of 1 MB would make gigabytes of a table.
LONGEST_CELL = 10_000
_UNLIMITED = 1_000_000
LABEL_LEAST, FIGURE_MOST, GAP = 10, 40, 2

_err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def status(message: str) -> None:
    """Tell a person what is going on, on stderr."""
    _err.print(printable(message), soft_wrap=True)


def error(message: str) -> None:
    """Tell a person what went wrong, on stderr."""
    _err.print(f"error: {printable(message)}", style="bold red" if _err.is_terminal else None, soft_wrap=True)


def say(line: str) -> None:
    """Write `line` to stdout, for a person or a pipe."""
    write(printable(line) + "\n")


def write(text: str) -> None:
    """Write `text` to stdout as it is; what its encoding lacks becomes an escape.

    Where nobody reads stdout any more, as after `| head`, the command goes on to its end and its exit code.
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def printable(text: str) -> str:
    """Return `text` with what could drive a terminal as escapes: a model's output is not trusted."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


class TableLike(Protocol):
    """A table as data."""

    @property
    def title(self) -> str:
        """One line above it."""

    @property
    def header(self) -> tuple[str, ...]:
        """The names of its columns."""

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Rows as long as the header."""

    @property
    def labels(self) -> int:
        """How many columns, from the left, are texts; the others are figures."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences below it."""


def table_width() -> int:
    """Return how many characters a table may be wide: the terminal's, or 100 where there is none."""
    out = Console()
    return out.width if out.is_terminal else PIPE_WIDTH


def print_table(table: TableLike) -> None:
    """Show `table` on stdout: as wide as the terminal, or in full, a line a row, where there is none."""
    out = Console(highlight=False, markup=False)
    if out.is_terminal:
        _print_parts(out, table)
        return
    # Not on stdout: rich would end the process where nobody reads that any more.
    plain = Console(
        file=io.StringIO(), highlight=False, markup=False, width=_UNLIMITED, color_system=None, force_terminal=False
    )
    with plain.capture() as captured:
        _print_parts(plain, table)
    write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def _print_parts(out: Console, table: TableLike) -> None:
    for number, columns in enumerate(_split(table, out.width)):
        out.print(_rendered(table, columns, f"{table.title}{' (continued)' if number else ''}"))
    for note in table.notes:
        out.print(_one_line(note))
    if table.notes:
        out.print()


def _widest(table: TableLike, place: int) -> int:
    return max(cell_len(text) for text in (table.header[place], *(row[place] for row in table.rows)))


def _split(table: TableLike, width: int) -> list[list[int]]:
    """Return the columns of each part of `table`: the names of rows, and figures as far as there is room for both."""
    labels = list(range(table.labels))
    room = width - sum(min(_widest(table, place), LABEL_LEAST) + GAP for place in labels)
    parts: list[list[int]] = [[]]
    left = room
    for place in range(table.labels, len(table.header)):
        need = min(_widest(table, place), FIGURE_MOST) + GAP
        if parts[-1] and need > left:
            parts.append([])
            left = room
        parts[-1].append(place)
        left -= need
    return [labels + part for part in parts]


def _rendered(table: TableLike, columns: list[int], title: str) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown.title, shown.title_justify = _one_line(title), "left"
    for place in columns:
        name, widest = _one_line(table.header[place]), _widest(table, place)
        if place < table.labels:
            shown.add_column(name, overflow="fold", min_width=min(widest, LABEL_LEAST))
        else:  # whatever has to give way, figures are whole
            shown.add_column(name, justify="right", no_wrap=True, min_width=min(widest, FIGURE_MOST))
    for row in table.rows:
        shown.add_row(*(_one_line(row[place]) for place in columns))
    return shown


def _one_line(text: str) -> Text:
    if len(text) > LONGEST_CELL:
        text = f"{text[:LONGEST_CELL]}… (and {len(text) - LONGEST_CELL} characters more)"
    return Text(printable(re.sub("\r?\n|[\u2028\u2029]", " ⏎ ", text).replace("\t", " ")))


class RunDisplay:
    """Shows a run going on: a bar per model on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._began = time.monotonic()
        self._told: dict[str, float] = {}
        self._known: set[str] = set()

    def __enter__(self) -> Self:
        """Begin to show bars where stderr is a terminal."""
        if _err.is_terminal:
            columns = (
                TextColumn("{task.fields[model]}", markup=False),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}", markup=False),
                TimeElapsedColumn(),
            )
            self._progress = Progress(*columns, console=_err, transient=True)
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, at: TracebackType | None
    ) -> None:
        """Take the bars away."""
        if self._progress:
            self._progress.stop()

    def is_new(self, text: str) -> bool:
        """Tell whether this is the first time that `text` is asked about."""
        before, self._known = self._known, self._known | {text}
        return text not in before

    def note(self, text: str) -> None:
        """Show a sentence."""
        status(text)

    def advance(self, model: str, total: int, done: int, detail: str) -> None:
        """Show how far `model` has come; `detail` says how, in a few words."""
        if self._progress is None:
            self._tell_plainly(model, f"{model}: {done}/{total}, {detail}")
            return
        if model not in self._tasks:
            self._tasks[model] = self._progress.add_task("", total=total, model=model, detail="")
        shown = printable(detail.replace("\n", " "))
        self._progress.update(self._tasks[model], completed=done, total=total, detail=shown)

    def finish(self, model: str, text: str, *, is_bad: bool) -> None:
        """Show how `model` ended."""
        if self._progress and model in self._tasks:
            self._progress.remove_task(self._tasks.pop(model))
            self._progress.refresh()  # else its last bar is drawn once more, below what is printed
        style = "bold red" if is_bad and _err.is_terminal else None
        _err.print(printable(f"{model}: {text}"), style=style, soft_wrap=True)

    def _tell_plainly(self, model: str, line: str) -> None:
        now = time.monotonic()
        if now - self._told.get(model, self._began) >= PLAIN_EVERY_S:
            self._told[model] = now
            sys.stderr.write(printable(line) + "\n")


def duration(seconds: float) -> str:
    """Return a time as a person would say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
