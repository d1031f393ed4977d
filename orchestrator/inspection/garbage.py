"""What of a run nobody needs any more, and its deletion under the run's lock."""

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BakeoffError, LockedError
from orchestrator.files import TEMPORARY, disk_errors
from orchestrator.inspection.folders import list_bent_journals, list_set_aside, models_on_disk, size_bytes
from orchestrator.inspection.holder import find_holder
from orchestrator.results.layout import ABANDONED_S, log_path, set_aside_folder, spill_folder
from orchestrator.results.plan import read_plan
from orchestrator.running.lock import holding

_PLACES = (("predictions", 0.0), ("old", 0.0), (".", ABANDONED_S), ("scores", ABANDONED_S))


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What was deleted of a run, or would be: bytes by kind; `kept` is what only `everything` takes.

    `skipped` says why nothing was touched.
    """

    run: Path
    deleted: dict[str, int]
    kept: dict[str, int]
    skipped: str | None = None


def clean_run(run: Path, *, everything: bool = False, dry_run: bool = False) -> Cleaning:
    """Delete what killed processes left in `run` and old logs; with `everything`, what was set aside as well.

    Never deleted are predictions and journals that count, scores, the plan, and files that are not ours. A run that is
    being worked on is skipped. Raises DiskError where something cannot be deleted.
    """
    if dry_run:
        if holder := find_holder(run, is_thorough=True):
            return _skipped(run, f"{run}: is being worked on by {holder}")
        return _clean(run, everything=everything, delete=False)
    try:
        with holding(run):
            return _clean(run, everything=everything, delete=True)
    except LockedError as error:
        return _skipped(run, str(error).partition(";")[0])


def find_leftovers(run: Path) -> Iterator[tuple[str, Path]]:
    """Yield what a killed process left: temporary files and spilled texts.

    Scoring writes beside the lock: in its folders a temporary file counts only where nobody wrote to it for an hour.
    """
    for folder, age_s in _PLACES:
        for path in sorted((run / folder).glob(".*.tmp")):
            if TEMPORARY.fullmatch(path.name) and _age_s(path) >= age_s:
                yield "temporary files", path
    for path in sorted(spill_folder(run).glob("*")):
        yield "spilled texts", path


def _clean(run: Path, *, everything: bool, delete: bool) -> Cleaning:
    useless = [*find_leftovers(run), *(("old logs", path) for path in _find_old_logs(run))]
    results = [("damaged journals", path) for path in list_bent_journals(run)]
    results += [("set-aside predictions", path) for path in list_set_aside(run)]
    taken, kept = ([*useless, *results], []) if everything else (useless, results)
    cleaning = Cleaning(run, _sizes(taken), _sizes(kept))
    for _, path in taken if delete else ():
        _delete(path)
    if delete and everything:
        with suppress(OSError):  # it is not there, not empty, or a link
            set_aside_folder(run).rmdir()
    return cleaning


def _find_old_logs(run: Path) -> Iterator[Path]:
    """Yield the logs that were rotated away; `echo.old.log` may as well be the log of a model `echo.old`."""
    try:
        models = {*(cell.model for cell in read_plan(run).cells), *models_on_disk(run)}
    except BakeoffError:  # then nobody knows all of the models
        return
    for path in sorted(run.glob("logs/*.old.log")):
        rotated = path.name.removesuffix(".log")
        model = rotated.removesuffix(".old")
        if rotated not in models and (model in models or log_path(run, model).is_file()):
            yield path


def _sizes(found: Iterable[tuple[str, Path]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for kind, path in found:
        sizes[kind] = sizes.get(kind, 0) + size_bytes(path)
    return sizes


def _skipped(run: Path, why: str) -> Cleaning:
    return Cleaning(run, {}, {}, skipped=f"{why}; nothing of it was deleted")


def _delete(path: Path) -> None:
    with disk_errors(path), suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:  # it went in the meantime
        return -1.0
