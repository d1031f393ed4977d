"""The leaderboard as a table, as CSV and as Markdown."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.formulas import guarded
from orchestrator.reporting.amounts import money_text, time_text
from orchestrator.reporting.numbers import NOTHING, interval_text, number_text, p_text, signed_text
from orchestrator.reporting.params import Params, shorten
from orchestrator.reporting.tabular import Table
from orchestrator.reporting.twins import deaf_sentences
from orchestrator.scoring.leaderboard import Leaderboard, Place

_LABELS = ("rank", "run", "model", "params", "prompt")
_ARROWS = {"lower": "↓", "higher": "↑"}
_AGAINST = ("difference", "low", "high", "p_holm", "verdict")


def leaderboard_table(board: Leaderboard) -> Table:
    """Return one row for each cell; columns in which nothing is said are left out, and the notes say how it was ranked.

    The run is shown where a model's cell is in two of them.
    """
    params = shorten(place.params for place in board.places)
    score = f"{board.metric} {_ARROWS[board.direction]}"
    columns: dict[str, Callable[[Place], str]] = {
        "rank": lambda place: str(place.rank or NOTHING),
        "run": lambda place: place.run if board.needs_run else "",
        "model": lambda place: place.model,
        "params": lambda place: params.of(place.params),
        "prompt": lambda place: place.prompt,
        "": lambda place: "best" if place.standing == "best" else "",  # others of rank 1 share it visibly
        score: lambda place: interval_text(place.mean, place.low, place.high, board.unit),
        "scored": lambda place: f"{place.n_scored}/{place.n_total}",
        "missing = wrong": lambda place: number_text(place.worst_case, board.unit) if _lacks(board) else "",
        "from the first": lambda place: _difference(place, board.unit),
        "p": _p,
        "cost": lambda place: _of(place, place.cost, place.cost_known, money_text),
        "time": lambda place: _of(place, place.time_s, place.time_known, time_text),
        "tokens in": lambda place: _of(place, place.input_tokens, place.input_known, _count),
        "out": lambda place: _of(place, place.output_tokens, place.output_known, _count),
    }
    shown = {
        name: texts
        for name, text in columns.items()
        if not {*(texts := [text(place) for place in board.places])} <= {"", NOTHING}
    }
    rows = tuple(zip(*shown.values(), strict=True))
    labels = sum(name in {*_LABELS, ""} for name in shown)
    return Table(_title(board), tuple(shown), rows, labels, tuple(_notes(board, params)))


def leaderboard_csv(board: Leaderboard) -> str:
    """Return every field of every place, a line each; the comparison with the first place is in columns of its own.

    A name that a spreadsheet would take for a formula begins with an apostrophe.
    """
    fields = [name for name in Place.model_fields if name != "against_best"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([fields[0], "metric", *fields[1:], *(f"against_best_{name}" for name in _AGAINST)])
    for place in board.places:
        values = [getattr(place, name) for name in fields]
        against: list[Any] = [getattr(place.against_best, name, None) for name in _AGAINST]
        row = [values[0], board.metric, *values[1:], *against]
        writer.writerow([guarded(value) if isinstance(value, str) else value for value in row])
    return text.getvalue()


def _title(board: Leaderboard) -> str:
    of = f" of {board.n_all:,}" if board.n_samples < board.n_all else ""
    runs = f"run {board.runs[0]}" if len(board.runs) == 1 else f"runs {', '.join(board.runs)}"
    return f"Leaderboard by {board.metric}: {runs}, {board.n_samples:,}{of} samples"


def _notes(board: Leaderboard, params: Params) -> Iterator[str]:
    yield from params.notes
    if board.n_samples < board.n_all:
        yield (
            f"Only the {board.n_samples:,} samples that all were asked about count here; "
            f"{board.n_all - board.n_samples:,} that some were asked about are left out."
        )
    yield from rank_notes(board)
    yield from deaf_sentences(tuple(dict.fromkeys(twin.cell.model for twin in board.twins)), board.twins)
    for prompt in board.prompts:
        yield f"The runs have different texts under the name of the prompt '{prompt}'."


def rank_notes(board: Leaderboard) -> Iterator[str]:
    """Yield what a rank means on this board."""
    ranked = sum(place.rank is not None for place in board.places)
    if ranked > 1:
        yield rank_note(board.which, board.claims, board.unit)
    if _lacks(board) and board.unit == "fraction":
        counted = "counts as wrong in ranks and differences"
        left = "is left out of differences, and counts as wrong in the order alone"
        yield f"An answer without a score {counted if board.missing == 'worst' else left}; the mean is of what has one."
    elif _lacks(board):
        yield "Answers without a score are left out."
    if ranked < len(board.places):
        yield f"{len(board.places) - ranked} without a rank: no answer of theirs has a score."


def rank_note(which: str, claims: int, unit: str = "fraction") -> str:
    """Return by what rows are ordered, and what it takes for two cells to have different ranks."""
    counted = " in which missing answers count as wrong" if unit == "fraction" else ""
    rest = "" if which == "all pairs" else " Below the first rank, ranks go by the means alone."
    return (
        f"Rows go by means{counted}. Cells share a rank from the first of them down to the last that the test did not "
        f"tell apart from it.{rest} The test is paired on samples, flips signs by document, and is corrected by Holm "
        f"over {claims} {'comparison' if claims == 1 else 'comparisons'}. Sharing a rank is not being equal."
    )


def _lacks(board: Leaderboard) -> bool:
    """Whether an answer that could have a score has none."""
    return any(place.n_scored < place.n_total and place.worst_case != place.mean for place in board.places)


def _difference(place: Place, unit: str) -> str:
    found = place.against_best
    return signed_text(found.difference, found.low, found.high, unit) if found else ""


def _p(place: Place) -> str:
    return "" if place.against_best is None else p_text(place.against_best.p_holm)


def _of(place: Place, value: float | None, known: int, text: Callable[[float], str]) -> str:
    if value is None:
        return NOTHING
    return text(value) + (f" ({known} of {place.n_answers})" if known < place.n_answers else "")


def _count(value: float) -> str:
    return f"{value:,.0f}"
