"""A plain prompt: a text file with fields, and front matter for those who want a system text."""

import re
from pathlib import Path

from orchestrator.errors import BakeoffError
from orchestrator.parsing import Frozen, parse
from orchestrator.prompt.content import Prompt, digest
from orchestrator.prompt.fields import check_fields
from orchestrator.prompt_files.source import check_system, read_file

SUFFIXES = (".txt", ".md")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?P<yaml>.*?)(?:^---[ \t]*(?:\n|\Z))", re.DOTALL | re.MULTILINE)


class FrontMatter(Frozen):
    """The keys between the two `---` lines that a prompt file may start with."""

    system: str | None = None
    description: str | None = None


def read_text(path: Path, name: str) -> Prompt:
    """Read one prompt file; raise BakeoffError naming the first thing that is wrong with it."""
    front, body = _split(read_file(path), path)
    text = body.strip()
    if not text:
        raise BakeoffError(f"{path}: the prompt is empty; write what the model is asked, such as {{question}}")
    check_fields(text, str(path))
    system = check_system(front.system, path)
    return Prompt(name, text, system, digest(text, system), front.description)


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
    except (yaml.YAMLError, RecursionError) as error:
        reason = getattr(error, "problem", None) or "it cannot be read"
        raise BakeoffError(
            f"{path}: the front matter is not valid YAML: {reason}; quote a text that holds ': '"
        ) from error
