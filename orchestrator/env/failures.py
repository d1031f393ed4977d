"""What uv says when it fails, and the sentence a person gets instead."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BakeoffError, DiskError, TryLaterError
from orchestrator.manifest import Runner


@dataclass(frozen=True, slots=True)
class _Failure:
    """A pattern of uv's output; `sentence` may use its groups as {0}, {1} …, and {runner} and {python}."""

    pattern: re.Pattern[str]
    error: Callable[[str], BakeoffError]
    sentence: str


def _failure(pattern: str, error: Callable[[str], BakeoffError], sentence: str) -> _Failure:
    return _Failure(re.compile(pattern), error, sentence)


# The first that is found wins: a full disk explains a failed download, and not the other way round.
_FAILURES = (
    _failure(
        r"os error 28|No space left|Disk quota exceeded",
        DiskError,
        "the disk is full; free some space (`bakeoff env gc`, `uv cache prune`) and run the command again",
    ),
    _failure(
        r"Failed to download `?\S*(?:python-build-standalone|/cpython-)",
        TryLaterError,
        "Python {python} is not here and could not be downloaded; check the network, or install it",
    ),
    _failure(
        r"No interpreter found for .*[\s\S]*?hint: A managed Python download is available",
        TryLaterError,
        "Python {python} is not here, and uv may not download it; allow that or install it",
    ),
    _failure(
        r"No interpreter found|Failed to inspect Python interpreter|No download found for request|"
        r"Invalid version request",
        BakeoffError,
        "runner.toml asks for Python {python}, which uv finds neither here nor for download; "
        "install it or change the key 'python'",
    ),
    _failure(
        r"[Nn]etwork (?:was|connectivity is) disabled",
        TryLaterError,
        "a package is not in uv's cache and the network is switched off (UV_OFFLINE); "
        "run `bakeoff env build {runner}` once with a network",
    ),
    _failure(
        r"(?:Failed to fetch:|error sending request for url|Could not connect)[\s:(`]*(?:https?://)?([^/)`\s]+)",
        TryLaterError,
        "the package index at {0} could not be reached; check the network and uv's index settings, "
        "then run `bakeoff env build {runner}`",
    ),
    _failure(
        r"Hash mismatch for `?([^`\s]+)",
        BakeoffError,
        "{0} is not the file that requirements.lock names (its hash differs); if that is meant, "
        "run `bakeoff env lock {runner}`",
    ),
    _failure(
        r"Because (\S+) was not found in the (?:package registry|provided package locations)",
        BakeoffError,
        "there is no package '{0}' in the index; correct its name in requirements.txt",
    ),
    _failure(
        r"Couldn't parse requirement in `([^`]+)`[^\n]*\n\s*(?:cause: )?(\S[^\n]*)",
        BakeoffError,
        "{0} cannot be read: {1}",
    ),
    _failure(
        r"Failed to build(?: `([^`]+)`)?",
        BakeoffError,
        "the package {0} has no wheel for this machine and could not be built from source; "
        "choose a version that has one",
    ),
)
_UNSATISFIABLE = re.compile(r"cause: (?:Because )?(.*?)(?:,? we can conclude that .*)?$", re.MULTILINE)


def explain(output: str, runner: Runner, log: Path) -> BakeoffError:
    """Return the error for what uv printed; its sentence names the runner, what is wrong and what to do."""
    for failure in _FAILURES:
        if found := failure.pattern.search(output):
            groups = [group or "?" for group in found.groups()]
            text = failure.sentence.format(*groups, runner=runner.name, python=runner.manifest.python)
            return failure.error(f"{runner.name}: {text} ({log} has uv's own words)")
    sentence = _unsatisfiable(output, runner) or f"uv could not build its environment: {_first_error(output)}"
    return BakeoffError(f"{runner.name}: {sentence} ({log} has uv's own words)")


def _unsatisfiable(output: str, runner: Runner) -> str | None:
    """Say which requirements exclude each other, and suspect the lock where there is one."""
    if "No solution found" not in output:
        return None
    cause = _UNSATISFIABLE.search(output)
    conflict = cause[1].strip().rstrip(",") if cause else "uv found no solution"
    if runner.lock.is_file():
        return (
            f"requirements.txt and requirements.lock exclude each other: {conflict}; "
            f"run `bakeoff env lock {runner.name}`"
        )
    return f"requirements.txt cannot be satisfied: {conflict}; loosen or correct a version there"


def _first_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines)[0].removeprefix("error: ")
