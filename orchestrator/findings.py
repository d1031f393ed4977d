"""What a check found: one thing looked at, how it is, and what is wrong with it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `problem` is a sentence with the remedy, None where all is well."""

    what: str
    state: str
    problem: str | None = None
