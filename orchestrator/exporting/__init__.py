"""Exporting: a run's answers and scores as files for other programs; the lossless form is the Parquet."""

import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from orchestrator.errors import UsageError
from orchestrator.exporting.lines import write_json, write_jsonl, write_lmms_eval
from orchestrator.exporting.rows import COLUMNS, find_metadata, find_metrics, iter_rows
from orchestrator.exporting.sheets import flat_rows, write_csv, write_xlsx
from orchestrator.files import disk_errors, replacing
from orchestrator.results.plan import read_plan

__all__ = ["FORMS", "Export", "Form", "export_run"]

Form = Literal["csv", "json", "jsonl", "xlsx", "lmms-eval"]
FORMS: tuple[Form, ...] = ("csv", "json", "jsonl", "xlsx", "lmms-eval")


class Export(NamedTuple):
    """The file (or folder) that was written, its number of rows, and the metrics in it (none: not scored)."""

    path: Path
    rows: int
    metrics: tuple[str, ...]


def export_run(run: Path, form: Form, output: Path | None = None) -> Export:
    """Write one row per expected answer of `run` to `output` (default: `export.<form>` in the run).

    Raises UsageError for an unknown form or where `output` is a folder (lmms-eval: a file), BakeoffError where the
    scores are outdated, DiskError where the disk is full; a file that was there stays then.
    """
    if form not in FORMS:
        raise UsageError(f"there is no form '{form}'; there are {', '.join(FORMS)}")
    plan = read_plan(run)
    path = output or run / f"export.{form}"
    _check_output(path, is_folder=form == "lmms-eval")
    metrics = find_metrics(run, plan)
    rows = iter_rows(run, plan, metrics)
    if form == "lmms-eval":
        return Export(path, _write_folder(path, rows, plan.dataset, metrics), metrics)
    with replacing(path) as temporary:
        if form in ("csv", "xlsx"):
            columns, metadata = [*COLUMNS, *metrics], find_metadata(run)
            names = [*columns, *(f"metadata.{name}" for name in metadata)]
            write_sheet = write_csv if form == "csv" else write_xlsx
            count = write_sheet(temporary, names, flat_rows(rows, columns, metadata))
        else:
            write_lines = write_json if form == "json" else write_jsonl
            count = write_lines(temporary, rows)
    return Export(path, count, metrics)


def _check_output(path: Path, *, is_folder: bool) -> None:
    if not is_folder and path.is_dir():
        raise UsageError(f"{path}: is a folder; give the file's name")
    if is_folder and path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is a file; lmms-eval's form is a folder of files")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")


def _write_folder(path: Path, rows: Iterable[Mapping[str, Any]], task: str, metrics: tuple[str, ...]) -> int:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with disk_errors(path):
            temporary.mkdir()
            count = write_lmms_eval(temporary, rows, task, metrics)
            if path.exists():
                shutil.rmtree(path)
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return count
