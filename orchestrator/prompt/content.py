"""What a prompt is, whatever file it came from: its identity and its content."""

import hashlib
from dataclasses import dataclass
from typing import Literal, NamedTuple

from orchestrator.identity import canonical

Kind = Literal["text", "set", "chat"]


class Image(NamedTuple):
    """An image on disk: its absolute path and the SHA-256 of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as its file says it; `sha256` (hex) covers `text`, `system` and the kind, not the description.

    `text` is the text itself; of a set or a chat it is the JSON of `prompt.pairs` or `prompt.chat`, which names the
    example `images` by their digests, in this order.
    """

    id: str
    text: str
    system: str | None
    sha256: str
    description: str | None = None
    kind: Kind = "text"
    images: tuple[Image, ...] = ()


def digest(text: str, system: str | None, kind: Kind = "text") -> str:
    """Return the SHA-256 (hex) of a prompt's content; a plain text never has that of a set or a chat."""
    return hashlib.sha256(canonical([text, system] if kind == "text" else [text, system, kind]).encode()).hexdigest()
