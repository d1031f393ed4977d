"""Show things to a person: results on stdout, everything else on stderr; the only module that imports rich."""

import re
import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

# C0 and C1 controls but tab and newline, and the marks that turn the direction of text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
PLAIN_EVERY_S = 10.0

_err = Console(stderr=True, highlight=False, markup=False)


def status(message: str) -> None:
    """Tell a person what is going on, on stderr."""
    _err.print(printable(message), soft_wrap=True)


def error(message: str) -> None:
    """Tell a person what went wrong, on stderr."""
    _err.print(f"error: {printable(message)}", style="bold red" if _err.is_terminal else None, soft_wrap=True)


def printable(text: str) -> str:
    """Return `text` with what could drive a terminal shown as escapes instead: a model's output is not trusted."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


class RunDisplay:
    """Shows a run going on: a bar per model on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._told = 0.0

    def __enter__(self) -> Self:
        """Begin to show bars where stderr is a terminal."""
        if _err.is_terminal:
            columns = (
                TextColumn("{task.fields[model]}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}"),
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

    def note(self, text: str) -> None:
        """Show a sentence."""
        status(text)

    def advance(self, model: str, total: int, done: int, failed: int, rate: float, eta_s: float | None) -> None:
        """Show how far `model` has come; rate is a second, `eta_s` None while nothing is known."""
        detail = f"{failed} failed, {rate:.1f}/s" + (f", {_duration(eta_s)} to go" if eta_s is not None else "")
        if self._progress is None:
            self._tell_plainly(f"{model}: {done}/{total}, {detail}")
            return
        if model not in self._tasks:
            self._tasks[model] = self._progress.add_task("", total=total, model=model, detail="")
        self._progress.update(self._tasks[model], completed=done, total=total, detail=detail)

    def finish(self, model: str, text: str, *, is_bad: bool) -> None:
        """Show how `model` ended."""
        if self._progress and model in self._tasks:
            self._progress.remove_task(self._tasks.pop(model))
        style = "bold red" if is_bad and _err.is_terminal else None
        _err.print(printable(f"{model}: {text}"), style=style, soft_wrap=True)

    def _tell_plainly(self, line: str) -> None:
        now = time.monotonic()
        if now - self._told >= PLAIN_EVERY_S:
            self._told = now
            sys.stderr.write(printable(line) + "\n")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
