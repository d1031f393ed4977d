"""What all prompt files share: they are UTF-8 text, and a system text has no fields."""

from pathlib import Path

from orchestrator.errors import BakeoffError
from orchestrator.prompt.fields import fields


def read_file(path: Path) -> str:
    """Return the text of a prompt file; raise BakeoffError where it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BakeoffError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise BakeoffError(f"{path}: cannot be read: {error.strerror or error}") from error


def check_system(system: str | None, path: Path) -> str | None:
    """Return the system text without the space around it; raise BakeoffError where it has fields."""
    stripped = (system or "").strip() or None
    if stripped and fields(stripped):
        raise BakeoffError(f"{path}: system is sent as it stands; move {{{fields(stripped)[0]}}} into the text")
    return stripped
