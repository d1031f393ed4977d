"""What can go wrong by a user's hand: one sentence, what to do about it, and an exit code."""

import difflib
from collections.abc import Iterable


class BakeoffError(Exception):
    """An expected failure whose text is one sentence for a person; the command line exits with `exit_code`."""

    exit_code = 1


class UsageError(BakeoffError):
    """The command was given something that does not exist or does not fit."""

    exit_code = 2


class ModelFailedError(BakeoffError):
    """At least one model failed; what the others answered is complete."""

    exit_code = 3


class RegressionError(BakeoffError):
    """A gate found a regression; all was compared."""

    exit_code = 4


class LockedError(BakeoffError):
    """Another process holds what this one needs."""

    exit_code = 11


class DiskError(BakeoffError):
    """The disk is full or cannot be written."""

    exit_code = 12


class TryLaterError(BakeoffError):
    """Something outside is not available now; the same command may work later."""

    exit_code = 75


_LONGER_MAX = 6
_LIKENESS = 0.65  # from here on a name may be another one mistyped


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for those of `known` that begin with `name`, or else the closest.

    Where there is none it is the short list of them, or nothing.
    """
    names = sorted(known)
    longer = [f"'{n}'" for n in names if name and n.lower().startswith(name.lower())]
    if 1 < len(longer) <= _LONGER_MAX:
        return f"; did you mean {', '.join(longer[:-1])} or {longer[-1]}?"
    close = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=_LIKENESS)
    if close:
        match = next(n for n in names if n.lower() == close[0])
        return f"; did you mean '{match}'?"
    if names and len(names) <= 12:  # noqa: PLR2004 - a longer list hides the sentence
        return "; known: " + ", ".join(names)
    return ""
