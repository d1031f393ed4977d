"""Which folders are runs, and what lies in them."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import UsageError, nearest
from orchestrator.files import read_errors
from orchestrator.results.layout import PLAN_NAME, PROMPTS_NAME, SAMPLES_NAME, fresh_folder, set_aside_folder

# A folder of somebody else's may be called predictions or journal: only files of ours make a run.
_PARTS = (PLAN_NAME, SAMPLES_NAME, PROMPTS_NAME, "predictions/*.parquet", "journal/*/*.jsonl")
_SET_ASIDE = re.compile(r".+-[0-9]+-[0-9a-f]{8}\.parquet")  # see layout.set_aside_path


def list_run_folders(results: Path) -> list[Path]:
    """Return every folder below `results` that is a run or was one, its plan lost, by name."""
    if not results.is_dir():
        return []
    with read_errors(results):
        return sorted(path for path in results.iterdir() if path.is_dir() and _looks_like_run(path))


def find_run(given: Path | str, results: Path) -> Path:
    """Return the directory of a run given by name or by path, damaged or not; raise UsageError where it is none."""
    for path in (Path(given), results / given):
        if path.is_dir() and _looks_like_run(path):
            return path.resolve()
    if Path(given).is_dir():
        raise UsageError(f"{given}: is a folder but no run, it has no {PLAN_NAME} (`bakeoff runs list` shows the runs)")
    known = [path.name for path in list_run_folders(results)]
    raise UsageError(f"there is no run '{given}'{nearest(str(given), known)} (`bakeoff runs list` shows all)")


def models_on_disk(run: Path) -> list[str]:
    """Return the models that have predictions or journals in `run`, in the plan or not."""
    names = {path.stem for path in run.glob("predictions/*.parquet")}
    return sorted(names | {path.parent.name for path in run.glob("journal/*/*.jsonl")})


def list_journals(run: Path) -> list[Path]:
    """Return the journals that are not folded into Parquet, oldest first in each model."""
    return sorted(run.glob("journal/*/*.jsonl"))


def list_bent_journals(run: Path) -> list[Path]:
    """Return the journals that a compaction put aside since lines of them were damaged."""
    return sorted(run.glob("journal/*/*.damaged"))


def list_set_aside(run: Path) -> list[Path]:
    """Return the predictions in `old/` that were put aside to ask anew; what else lies there is not ours."""
    if set_aside_folder(run).is_symlink():
        return []
    found = (path for path in set_aside_folder(run).glob("*.parquet") if _SET_ASIDE.fullmatch(path.name))
    awaited = "".join(_read_quietly(mark) for mark in fresh_folder(run).glob("*.json"))  # may have to be put back
    return sorted(p for p in found if p.is_file() and not p.is_symlink() and p.name not in awaited)


def _read_quietly(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def size_bytes(path: Path) -> int:
    """Return what `path` takes, with all below it where it is a folder; links are not followed."""
    return sum(_size_of(each) for each in iter_files(path))


def size_text(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:  # noqa: PLR2004 - decimal units
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"  # noqa: PLR2004 - two digits


def iter_files(path: Path) -> Iterator[Path]:
    """Yield `path` itself where it is a file or a link, else the files below it; what vanishes is left out."""
    if path.is_symlink() or path.is_file():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)


def _looks_like_run(path: Path) -> bool:
    return any(next(path.glob(part), None) for part in _PARTS)


def _size_of(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # it went in the meantime
        return 0
