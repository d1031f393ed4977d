"""Prompt files: found by name, path or folder, and each read as what its suffix says."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from orchestrator.config import Workspace, resource_path
from orchestrator.datasets.fence import make_fence
from orchestrator.errors import BakeoffError, UsageError, nearest
from orchestrator.images import probe
from orchestrator.prompt import Prompt
from orchestrator.prompt_files import chat, pairs, text

SUFFIXES = (*text.SUFFIXES, *pairs.SUFFIXES, *chat.SUFFIXES)


def load_prompts(workspace: Workspace, given: Iterable[str]) -> tuple[Prompt, ...]:
    """Read the prompts `given`: names below `prompts/`, paths, or folders, of which all are read; each once.

    Raises UsageError where there is none, or where two have one name; BakeoffError for a defect in one.
    """
    found: dict[str, Prompt] = {}
    for each in given:
        for prompt in _load(workspace, each):
            if found.setdefault(prompt.id, prompt).sha256 != prompt.sha256:
                raise UsageError(f"two different prompts are called '{prompt.id}'; rename one of them")
    return tuple(found.values())


def _load(workspace: Workspace, given: str) -> list[Prompt]:
    known = list_prompts(workspace)
    folder = None if given in known else _by_path(workspace, given)
    if folder is None or not folder.is_dir():
        return [load_prompt(workspace, given)]
    paths = _listed(folder)
    names = {path: name for name, path in known.items()}
    if not paths:
        raise UsageError(f"{folder}: holds no prompt; a prompt is a file that ends in {_suffixes()}")
    return [read_prompt(workspace, path, names.get(path, _name(workspace, path, paths))) for path in paths]


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
        raise UsageError(f"{path}: is not a prompt; a prompt is one file that ends in {_suffixes()}")
    names = (name for name, known_path in known.items() if known_path == path)
    return read_prompt(workspace, path, next(names, _name(workspace, path, [path])))


def _suffixes() -> str:
    return f"{', '.join(SUFFIXES[:-2])} or {SUFFIXES[-2]}"


def _name(workspace: Workspace, path: Path, beside: Iterable[Path]) -> str:
    """Return the name of a prompt that is not below `prompts/`: its path, so that no two have the same."""
    root = workspace.root.resolve()
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    stem = path.with_suffix("")
    return (shown if sum(other.with_suffix("") == stem for other in beside) > 1 else shown.with_suffix("")).as_posix()


def list_prompts(workspace: Workspace) -> dict[str, Path]:
    """Return the prompt files below `prompts/` by name, sorted: the path without its suffix.

    Two files that differ by their suffix alone keep it. A README and `_…` or `.…` are passed over.
    """
    folder = _folder(workspace)
    paths = _listed(folder)
    stems = Counter(p.with_suffix("") for p in paths)
    named = ((p if stems[p.with_suffix("")] > 1 else p.with_suffix(""), p) for p in paths)
    return {name.relative_to(folder).as_posix(): path for name, path in named}


def _listed(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if _is_prompt(p.relative_to(folder)) and p.is_file())


def read_prompt(workspace: Workspace, path: Path, name: str) -> Prompt:
    """Read one prompt file; raise BakeoffError naming the first thing that is wrong with it."""
    suffix = path.suffix.lower()
    if suffix in pairs.SUFFIXES:
        return pairs.read_set(path, name)
    if suffix in chat.SUFFIXES:
        return chat.read_chat(path, name, _make_look(workspace, path))
    return text.read_text(path, name)


def _make_look(workspace: Workspace, path: Path) -> chat.Look:
    """Return what digests the example images of the chat at `path`: they are fenced as those of a dataset are."""
    own = _folder(workspace)
    refuse = make_fence(own if path.is_relative_to(own) else path.parent, workspace.image_folders, whose="prompt")

    def look(image: Path) -> str:
        defect = refuse(image)
        seen = None if defect else probe(image)
        if seen is None or seen.defect or seen.sha256 is None:
            raise BakeoffError(f"{path}: {defect or (seen and seen.defect)}")
        return seen.sha256

    return look


def _folder(workspace: Workspace) -> Path:
    return workspace.root.resolve() / "prompts"


def _by_path(workspace: Workspace, given: str) -> Path | None:
    path = resource_path(workspace, "prompts", given)
    return path if path is not None and path.name == Path(given).resolve().name else None


def _is_prompt(path: Path) -> bool:
    hidden = any(part[0] in "._" for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden and path.stem.upper() != "README"
