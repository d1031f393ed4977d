"""What a worker noted of its wire, and so which answers count as given: read with nothing of what is tested."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Transcript:
    """One worker's life: its faults in order, the prompt of each id, and the answers that may count for each.

    An answer is its text and the digest of a spilled one. Any answer said before the worker had read the request may
    count, for it may have crossed it; of those after it the first.
    """

    faults: list[str] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)
    answers: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    spilled: dict[str, str] = field(default_factory=dict)
    _settled: set[str] = field(default_factory=set)

    def texts(self, identity: str) -> set[str]:
        """Return the texts that a row of this request may have."""
        spilled = self.spilled.get(identity)
        return {text if digest is None else spilled for text, digest in self.answers.get(identity, [])} - {None}

    def add(self, line: bytes) -> None:
        """Count one line of what was said, if it is an answer at all."""
        found = read_answer(line)
        if found is None or found[0] in self._settled:
            return
        identity, *answer = found
        self.answers.setdefault(identity, []).append(tuple(answer))
        if identity in self.prompts:
            self._settled.add(identity)


def read_answer(line: bytes) -> tuple[str, str, str | None] | None:
    """Return id, text and digest of a line that is a response at all, None for any other."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("type") != "response":
        return None
    identity, text, digest = (message.get(key) for key in ("id", "text", "text_sha256"))
    if not isinstance(identity, str) or not isinstance(text, str):
        return None
    return repaired(identity), repaired(text), digest if isinstance(digest, str) else None


def repaired(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_transcript(path: Path) -> Transcript:
    """Read the notes of one worker; the last may be cut off where it was killed."""
    found, rest = Transcript(), b""
    with path.open() as notes:
        for note in notes:
            if not note.endswith("\n"):
                break
            kind, *what = json.loads(note)
            if kind == "fault":
                found.faults.append(what[0])
            elif kind == "in":
                found.prompts[what[0]] = what[1]
            elif kind == "spilled":
                found.spilled[what[0]] = what[1]
            elif kind == "out":
                *lines, rest = (rest + what[0].encode("latin-1")).split(b"\n")
                for line in lines:
                    found.add(line)
    return found
