"""The files of experiment sets: found by name or path."""

from pathlib import Path

from orchestrator.config import Workspace, resource_path
from orchestrator.errors import UsageError, nearest
from orchestrator.experiments.reading import READERS

FOLDER = "experiments"


def find_set(workspace: Workspace, given: str) -> Path:
    """Return the file of the set `given`, a path or a name below `experiments/`; raise UsageError where it is none."""
    named = _named(workspace, given)
    if len(named) > 1:
        both = " and ".join(path.name for path in named)
        raise UsageError(f"'{given}' are two files below {FOLDER}/, {both}; give the one with its suffix")
    path = named[0] if named else resource_path(workspace, FOLDER, given)
    if path is not None and path.is_dir():
        raise UsageError(f"{path}: is a folder; a set is a file, see `bakeoff list experiments`")
    if path is None or not path.is_file():
        known = nearest(given, list_sets(workspace))
        raise UsageError(f"there is no experiment set '{given}'{known} (a set is a file below {FOLDER}/, or a path)")
    if path.suffix.lower() not in READERS:
        raise UsageError(f"{path}: is not an experiment set; a set ends in {', '.join(READERS)}")
    return path


def _named(workspace: Workspace, given: str) -> list[Path]:
    """Return the files that the name `given` stands for, in a folder below `experiments/` or not."""
    folder = workspace.root / FOLDER
    if Path(given).is_absolute() or ".." in Path(given).parts:
        return []
    paths = [folder / f"{given}{suffix}" for suffix in READERS]
    return [path.resolve() for path in paths if path.is_file()]


def list_sets(workspace: Workspace) -> dict[str, Path]:
    """Return the files below `experiments/` by name, their paths without suffix; with it where two are called alike."""
    folder = workspace.root / FOLDER
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READERS and p.name[0] not in "._")
    names = [p.relative_to(folder).with_suffix("").as_posix() for p in paths]
    whole = [p.relative_to(folder).as_posix() for p in paths]
    chosen = [name if names.count(name) == 1 else full for name, full in zip(names, whole, strict=True)]
    return {name: path for name, path in zip(chosen, paths, strict=True) if path.is_file()}
