"""What a chat request says: its images are cut out of the bytes before anything is parsed."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

_MARK = b";base64,"
TOKENS_PER_IMAGE = 100


@dataclass(frozen=True, slots=True)
class Chat:
    """A request without its images, which are the base64 parts `data`."""

    said: dict[str, Any]
    data: tuple[bytes, ...]
    text: str

    def tokens(self) -> int:
        return len(self.text.split()) + TOKENS_PER_IMAGE * len(self.data)

    def digests(self) -> list[str]:
        """Return the SHA-256 of each image."""
        return [hashlib.sha256(base64.b64decode(data)).hexdigest() for data in self.data]

    def identity(self) -> bytes:
        """Return what tells a request from another one."""
        return hashlib.sha256(b"\0".join((json.dumps(self.said).encode(), *self.data))).digest()


def read_chat(body: bytearray) -> Chat:
    """Parse `body`; an image's bytes are `#N` in what is said. Raises ValueError or TypeError for anything else."""
    parts, data, position = [], [], 0
    while (at := body.find(_MARK, position)) >= 0:
        start = at + len(_MARK)
        parts.append(body[position:start])
        position = start
        opening = body.rfind(b'"', max(0, at - 64), at)
        end = body.find(b'"', start)
        if body.startswith(b"data:", opening + 1) and end > 0:
            data.append(bytes(memoryview(body)[start:end]))
            parts.append(b"#%d" % len(data))
            position = end
    parts.append(body[position:])
    said = json.loads(b"".join(parts))
    if not isinstance(said, dict) or not isinstance(said.get("messages"), list):
        raise TypeError("messages: a list is required")
    return Chat(said, tuple(data), last_user_text(said["messages"]))


def last_user_text(messages: list[Any]) -> str:
    """Return the text of the last message of the user's, its parts joined by a newline."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            return "\n".join(part["text"] for part in content or () if part.get("type") == "text")
    return ""
