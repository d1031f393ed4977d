"""What an importer yields: questions as the source has them, and what it could not make one of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.config import Workspace
from orchestrator.datasets.sample import Box

Notify = Callable[[str], None]
"""Takes a line for a person who waits."""


class Source(NamedTuple):
    """What an importer reads: `given` as the user wrote it, the workspace, and a folder that outlives the import."""

    given: str
    workspace: Workspace
    cache: Path


class Picture(NamedTuple):
    """An image to be kept: its bytes or a file that has them, and a name that people recognise it by."""

    name: str
    content: bytes | Path


class Problem(NamedTuple):
    """What could not be imported: a row, a file or an address, and why, in a sentence without a full stop."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """One question; texts are as the source wrote them.

    `answer` is None where there is no right one, "" where nothing is right; `alternatives` are right too.
    `answer_bbox` is (x1, y1, x2, y2) in pixels of the first image; `document` is what questions about the same thing
    share. `metadata` becomes further columns: texts as they are, all else as JSON.
    """

    question: str
    answer: str | None = None
    images: tuple[Picture, ...] = ()
    alternatives: tuple[str, ...] = ()
    id: str | None = None
    doc_class: str | None = None
    question_type: str | None = None
    answer_bbox: Box | None = None
    document: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
