"""What is shown keeps to the letter what can be shown, and to a bounded size."""

import io
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from rich.console import Console

from orchestrator import console


@dataclass(frozen=True)
class _Table:
    rows: tuple[tuple[str, ...], ...]
    title: str = "Answers"
    header: tuple[str, ...] = ("sample", "answer")
    labels: int = 2
    notes: tuple[str, ...] = ()


def test_what_is_not_seen_or_breaks_lines_is_shown_as_an_escape():
    escapes = r"a\u200bb\ufeff\u2028\U000e0041\ufff9\ud83d"
    assert console.printable("a\u200bb\ufeff\u2028\U000e0041\ufff9\ud83d") == escapes


def test_joiners_that_people_write_with_stay():
    assert console.printable("क्\u200dष 👩\u200d👧 a\u200cb") == "क्\u200dष 👩\u200d👧 a\u200cb"


def test_a_line_is_shown_whatever_stdout_can_encode():
    code = r"from orchestrator import console; console.say('é \x1b[31m \ud800 \t日')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment).stdout
    assert shown == rb"\xe9 \x1b[31m \ud800 " + b"\t" + rb"\u65e5" + b"\n"


def test_no_name_of_a_smiley_becomes_one(capfd):
    console.status("a :smile: [b]")
    console.error("a :smile: [b]")
    assert capfd.readouterr().err == "a :smile: [b]\nerror: a :smile: [b]\n"


def test_a_row_of_a_piped_table_is_a_line_in_full(capfd):
    console.print_table(_Table((("s1", "one\ntwo\u2028three"), ("s2", "x" * 9000))))
    lines = [line.split() for line in capfd.readouterr().out.split("\n")]
    assert ["s1", "one", "⏎", "two", "⏎", "three"] in lines
    assert ["s2", "x" * 9000] in lines


def test_a_cell_too_long_to_line_up_is_cut_and_says_so(capfd):
    """A hundred rows padded to one answer of 1 MB would be 100 MB."""
    began = time.perf_counter()
    console.print_table(_Table((("s1", "x" * 1_000_000), *[("s2", "y")] * 100)))
    out = capfd.readouterr().out
    assert f"{'x' * console.LONGEST_CELL}… (and {1_000_000 - console.LONGEST_CELL} characters more)\n" in out
    assert len(out) < 3 * console.LONGEST_CELL + 2000
    assert time.perf_counter() - began < 5


def test_bars_take_no_text_for_markup(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(console, "_err", Console(file=shown, force_terminal=True, width=100, markup=False, emoji=False))
    with console.RunDisplay() as display:
        display.advance("a[b]c", 2, 1, "0 failed")
    assert "a[b]c" in shown.getvalue()


def test_what_a_bar_said_last_is_not_drawn_below_how_its_model_ended(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(console, "_err", Console(file=shown, force_terminal=True, width=100, markup=False, emoji=False))
    with console.RunDisplay() as display:
        display.advance("slow", 12, 6, "waiting for 1 answer, 29 s at most")
        display._progress.refresh()
        display.finish("slow", "7 of 12 answered", is_bad=False)
    assert "at most" in shown.getvalue()
    assert "at most" not in shown.getvalue().rpartition("answered")[2]
