"""Read a chat: a YAML file with turns of the user and the assistant, and example images."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import BakeoffError
from orchestrator.identity import canonical
from orchestrator.parsing import Frozen, parse
from orchestrator.prompt.chat import Message
from orchestrator.prompt.content import Image, Prompt, digest
from orchestrator.prompt.fields import FIELDS, check_fields
from orchestrator.prompt_files.source import check_system, read_file

SUFFIXES = (".yaml", ".yml")
IMAGES = "{images}"
Look = Callable[[Path], str]
"""Returns the SHA-256 of an example image; raises BakeoffError where it may not be used."""

_SHAPE = "write 'user: …' or 'assistant: …'"
_QUOTE = "put quotes around a text that begins with { or [ or holds ': ', as in \"{question}\""


class ChatFile(Frozen):
    """The keys of a chat's file."""

    description: str | None = None
    system: str | None = None
    turns: list[Any] = []


def read_chat(path: Path, name: str, look: Look) -> Prompt:
    """Read a chat; raise BakeoffError naming the first thing that is wrong with it, its example images included.

    Paths of images are relative to the file. Where the text of the last turn has no `{images}`, the sample's images
    come before it.
    """
    told = parse(_read_yaml(path), ChatFile, str(path))
    images: list[Image] = []

    def show(given: str) -> str:
        place = Path(os.path.normpath(path.parent / os.path.expanduser(given)))  # noqa: PTH111 - as in bakeoff.toml
        images.append(Image(str(place), look(place)))
        return images[-1].sha256

    turns = [_read_turn(turn, f"{path}: turn {n}", show) for n, turn in enumerate(told.turns, start=1)]
    _check_turns(turns, path)
    if not any(part["type"] == "images" for part in turns[-1]["content"]):
        turns[-1]["content"].insert(0, {"type": "images"})
    system, text = check_system(told.system, path), canonical(turns)
    sha256 = digest(text, system, "chat")
    return Prompt(name, text, system, sha256, told.description, "chat", tuple(images))


def _read_yaml(path: Path) -> object:
    import yaml  # noqa: PLC0415 - most prompts are plain text

    class Loader(yaml.BaseLoader):  # it makes nothing but strings: 86.00 stays that
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value]
            if twice := [key for number, key in enumerate(keys) if key in keys[:number]]:
                raise yaml.MarkedYAMLError(problem=f"'{twice[0]}' is there twice", problem_mark=node.start_mark)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(read_file(path), Loader)  # noqa: S506 - a safe one
    except (yaml.YAMLError, RecursionError) as error:
        mark, reason = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "it cannot be read"
        line = f", line {mark.line + 1}" if mark else ""
        raise BakeoffError(f"{path}{line}: is not valid YAML: {reason}; {_QUOTE}") from error


def _read_turn(turn: object, where: str, show: Callable[[str], str]) -> Message:
    if not isinstance(turn, dict) or len(turn) != 1 or (role := next(iter(turn))) not in ("user", "assistant"):
        raise BakeoffError(f"{where}: is no turn; {_SHAPE}")
    given = turn[role]
    content = [part for each in (given if isinstance(given, list) else [given]) for part in _parts(each, where, show)]
    if not content:
        raise BakeoffError(f"{where}: the {role} says nothing; write a text")
    return {"role": role, "content": content}


def _parts(given: object, where: str, show: Callable[[str], str]) -> Iterator[dict[str, str]]:
    """Yield the parts that one entry of a turn's content makes: an image, or a text cut where images go."""
    if isinstance(given, dict) and given.keys() == {"image"} and isinstance(given["image"], str):
        yield {"type": "image", "sha256": show(given["image"])}
        return
    if isinstance(given, dict) and given.keys() == {"text"}:
        given = given["text"]
    if not isinstance(given, str):
        raise BakeoffError(f"{where}: {_shown(given)} is neither a text nor 'image: PATH'; {_QUOTE}")
    check_fields(given, where, (*FIELDS, "images"))
    for number, text in enumerate(_cut(given)):
        if number:
            yield {"type": "images"}
        if text.strip():
            yield {"type": "text", "text": text.strip()}


def _cut(text: str) -> list[str]:
    """Cut `text` at each `{images}`, but for one in double braces."""
    held = text.replace("{{images}}", "\0")
    return [part.replace("\0", "{{images}}") for part in held.split(IMAGES)]


def _check_turns(turns: Sequence[Message], path: Path) -> None:
    for number, turn in enumerate(turns, start=1):
        expected = ("user", "assistant")[(number - 1) % 2]
        where = f"{path}: turn {number}"
        if turn["role"] != expected:
            raise BakeoffError(f"{where}: is the {turn['role']}'s; turns alternate, and the user begins")
        kinds = [part["type"] for part in turn["content"]]
        if turn["role"] == "assistant" and set(kinds) != {"text"}:
            raise BakeoffError(f"{where}: the assistant shows no images; move them to the user's turn")
        if "images" in kinds and (number < len(turns) or kinds.count("images") > 1):
            raise BakeoffError(f"{where}: {IMAGES} stands once, in the last turn; an example's image is 'image: PATH'")
    if not turns:
        raise BakeoffError(f'{path}: there are no turns; write - user: "{{question}}" below them')
    if len(turns) % 2 == 0:
        raise BakeoffError(f'{path}: the last turn should be the user\'s, with the question: - user: "{{question}}"')


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 - one line of a terminal
