"""Prompts: text files with fields for the sample's question, read once and filled in many times."""

import functools
import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import Workspace, resource_path
from orchestrator.errors import BakeoffError, UsageError, nearest
from orchestrator.identity import canonical
from orchestrator.parsing import Frozen, parse

FIELDS = ("question", "doc_class", "question_type")
SUFFIXES = (".txt", ".md")
_BRACES = re.compile(r"\{\{(?P<literal>[^\W\d]\w*)\}\}|\{(?P<field>[^\W\d]\w*)\}")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?P<yaml>.*?)(?:^---[ \t]*(?:\n|\Z))", re.DOTALL | re.MULTILINE)


class FrontMatter(Frozen):
    """The keys between the two `---` lines that a prompt file may start with."""

    system: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as its file says it; `sha256` (hex) covers text and system, not the description."""

    id: str
    text: str
    system: str | None
    sha256: str
    description: str | None = None


def load_prompt(workspace: Workspace, given: str) -> Prompt:
    """Read the prompt `given`, a name below `prompts/` without its suffix or a path.

    Raises UsageError where there is none, BakeoffError for a defect in it.
    """
    known = list_prompts(workspace)
    path = known.get(given) or _by_path(workspace, given)
    if path is None:
        hint = f"{nearest(given, known)} (`bakeoff list prompts` shows all)"
        raise UsageError(f"there is no prompt '{given}'{hint}")
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: is not a prompt; a prompt is one file that ends in .txt or .md")
    names = (name for name, known_path in known.items() if known_path == path)
    return read_prompt(path, next(names, _name_outside(workspace, path)))


def _name_outside(workspace: Workspace, path: Path) -> str:
    """Return the name of a prompt that is not below `prompts/`: its path, so that no two have the same."""
    root = workspace.root.resolve()
    return (path.relative_to(root) if path.is_relative_to(root) else path).with_suffix("").as_posix()


def list_prompts(workspace: Workspace) -> dict[str, Path]:
    """Return the prompt files below `prompts/` by name, sorted: the path without its suffix.

    Two files that differ by their suffix alone keep it. A README and `_…` or `.…` are passed over.
    """
    folder = workspace.root.resolve() / "prompts"
    paths = sorted(p for p in folder.rglob("*") if _is_prompt(p.relative_to(folder)) and p.is_file())
    stems = Counter(p.with_suffix("") for p in paths)
    named = ((p if stems[p.with_suffix("")] > 1 else p.with_suffix(""), p) for p in paths)
    return {name.relative_to(folder).as_posix(): path for name, path in named}


def read_prompt(path: Path, name: str) -> Prompt:
    """Read one prompt file; raise BakeoffError naming the first thing that is wrong with it."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BakeoffError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise BakeoffError(f"{path}: cannot be read: {error.strerror or error}") from error
    front, body = _split(content, path)
    text = body.strip()
    if not text:
        raise BakeoffError(f"{path}: the prompt is empty; write what the model is asked, such as {{question}}")
    _check_fields(text, path)
    system = (front.system or "").strip() or None
    if system and fields(system):
        raise BakeoffError(f"{path}: system is sent as it stands; move {{{fields(system)[0]}}} into the text")
    return Prompt(name, text, system, _digest(text, system), front.description)


def fields(text: str) -> tuple[str, ...]:
    """Return which of our fields are filled in in `text`, in the order of FIELDS."""
    used = {match["field"] for match in _BRACES.finditer(text)}
    return tuple(field for field in FIELDS if field in used)


def render(prompt: Prompt, *, question: str, doc_class: str | None = None, question_type: str | None = None) -> str:
    """Return the text with its fields filled in, once: braces in a value stay as they are.

    `{{word}}` becomes `{word}`; a missing value is an empty string.
    """
    values = {"question": question, "doc_class": doc_class or "", "question_type": question_type or ""}
    return _template(prompt.text) % values


@functools.lru_cache(maxsize=1024)
def _template(text: str) -> str:
    """Write `text` as a template of the `%` operator, which fills 200,000 in well under a second."""
    parts: list[str] = []
    end = 0
    for match in _BRACES.finditer(text):
        parts.append(text[end : match.start()].replace("%", "%%"))
        parts.append(f"%({match['field']})s" if match["field"] in FIELDS else _kept(match))
        end = match.end()
    return "".join(parts) + text[end:].replace("%", "%%")


def _kept(match: re.Match[str]) -> str:
    return f"{{{match['literal']}}}" if match["literal"] else match[0]


def _check_fields(text: str, path: Path) -> None:
    for match in _BRACES.finditer(text):
        word = match["field"]
        if word is not None and word not in FIELDS:
            problem = f"unknown field '{{{word}}}'{nearest(word, FIELDS)}"
            raise BakeoffError(f"{path}: {problem}; write {{{{{word}}}}} to keep the braces")


def _split(content: str, path: Path) -> tuple[FrontMatter, str]:
    if content.split("\n", 1)[0].rstrip() != "---":
        return FrontMatter(), content
    match = _FRONT_MATTER.match(content)
    if match is None:
        raise BakeoffError(f"{path}: the front matter is not closed; end it with a line '---'")
    return parse(_read_yaml(match["yaml"], path) or {}, FrontMatter, str(path)), content[match.end() :]


def _read_yaml(text: str, path: Path) -> object:
    import yaml  # noqa: PLC0415 - most prompts have no front matter

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = getattr(error, "problem", None) or "it cannot be read"
        raise BakeoffError(
            f"{path}: the front matter is not valid YAML: {reason}; quote a text that holds ': '"
        ) from error


def _by_path(workspace: Workspace, given: str) -> Path | None:
    path = resource_path(workspace, "prompts", given)
    return path if path is not None and path.name == Path(given).name else None


def _digest(text: str, system: str | None) -> str:
    return hashlib.sha256(canonical([text, system]).encode()).hexdigest()


def _is_prompt(path: Path) -> bool:
    hidden = any(part[0] in "._" for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden and path.stem.upper() != "README"
