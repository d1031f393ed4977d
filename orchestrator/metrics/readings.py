"""Compare texts that can be read in more than one way: what is ambiguous is said to be, and never guessed."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.metrics.metric import Measure

AMBIGUOUS = "ambiguous"
UNREADABLE_REFERENCE = "unreadable_reference"
Readings = Mapping[str, Any]
"""What a text says under each convention by which it can be read."""


def equality(read: Callable[[str], Readings], text: str, references: tuple[str, ...]) -> Measure | str:
    """Return 1 where `text` says what a reference says, 0 where it does not, or why that cannot be told.

    Two texts are compared under the conventions by which both can be read, or where there is none, each by its own.
    Where the conventions do not agree, neither is right. A text that cannot be read at all is not equal.
    """
    expected = [readings for reference in references if (readings := read(reference))]
    if not expected:
        return UNREADABLE_REFERENCE
    answer = read(text)
    verdicts = [_agree(answer, one) for one in expected]
    if {True} in verdicts:
        return Measure(1.0)
    return AMBIGUOUS if {True, False} in verdicts else Measure(0.0)


def _agree(answer: Readings, expected: Readings) -> set[bool]:
    if shared := answer.keys() & expected.keys():
        return {answer[name] == expected[name] for name in shared}
    return {one == other for one in answer.values() for other in expected.values()}
