"""A chat: turns of the user and the assistant, with example images, that end in the sample's question."""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.prompt.content import Image, Prompt
from orchestrator.prompt.fields import fill

Message = dict[str, Any]
"""A turn on the wire: `role`, and `content`, a list of text and image parts in order."""


@functools.lru_cache(maxsize=256)
def turns_of(text: str) -> tuple[Message, ...]:
    """Return the turns of a chat from its JSON; example images by digest, `{"type": "images"}` for the sample's."""
    return tuple(json.loads(text))


def converse(prompt: Prompt, values: Mapping[str, str], images: Sequence[Image]) -> list[Message]:
    """Return the messages of the wire, with the fields filled in and `images`, the sample's, in their place.

    Parts are `{"type": "text", "text"}` and `{"type": "image", "path", "sha256"}`.
    """
    examples = iter(prompt.images)
    return [
        {
            "role": turn["role"],
            "content": [p for part in turn["content"] for p in _sent(part, values, images, examples)],
        }
        for turn in turns_of(prompt.text)
    ]


def _sent(
    part: Mapping[str, str], values: Mapping[str, str], images: Sequence[Image], examples: Iterator[Image]
) -> Iterator[dict[str, str]]:
    if part["type"] == "text":
        yield {"type": "text", "text": fill(part["text"], values)}
    else:
        for image in images if part["type"] == "images" else (next(examples),):
            yield {"type": "image", "path": image[0], "sha256": image[1]}


def flatten(messages: Sequence[Message]) -> str:
    """Return messages as one text, a line a turn, for those who read and for runners that only echo."""
    return "\n".join(
        f"{message['role']}: " + " ".join(part.get("text", "[image]") for part in message["content"])
        for message in messages
    )


def images_of(messages: Sequence[Message]) -> tuple[Image, ...]:
    """Return all images of messages, in order."""
    parts = (part for message in messages for part in message["content"] if part["type"] == "image")
    return tuple(Image(part["path"], part["sha256"]) for part in parts)


def identify(messages: Sequence[Message]) -> list[Message]:
    """Return what is part of a key: roles, texts and the digests of images in order, but no paths."""
    return [
        {"role": message["role"], "content": [_identified(part) for part in message["content"]]} for message in messages
    ]


def _identified(part: Mapping[str, str]) -> dict[str, str]:
    if part["type"] == "text":
        return dict(part)
    return {"type": "image", "sha256": part["sha256"] or part["path"]}
