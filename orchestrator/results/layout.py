"""Where things lie in a run's directory; nobody else builds these paths."""

import glob
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from orchestrator.files import remove_temporaries

PLAN_NAME = "run.json"
SAMPLES_NAME = "samples.parquet"
PROMPTS_NAME = "prompts.parquet"
ABANDONED_S = 3600.0


def predictions_path(run: Path, model: str) -> Path:
    """Return the view of a model's predictions."""
    return run / "predictions" / f"{model}.parquet"


def set_aside_folder(run: Path) -> Path:
    """Return where predictions lie that were set aside."""
    return run / "old"


def fresh_folder(run: Path) -> Path:
    """Return where it says which models are being asked afresh."""
    return run / ".fresh"


def fresh_path(run: Path, model: str) -> Path:
    """Return the file that is there while a model is being asked afresh; it names what was set aside."""
    return fresh_folder(run) / f"{model}.json"


def set_aside_path(run: Path, model: str) -> Path:
    """Return a new name for predictions of a model that were set aside; it is never used twice."""
    return set_aside_folder(run) / f"{model}-{time.time_ns() // 1_000_000}-{secrets.token_hex(4)}.parquet"


def scores_path(run: Path, model: str) -> Path:
    """Return the scores of a model."""
    return run / "scores" / f"{model}.parquet"


def journal_folder(run: Path, model: str) -> Path:
    """Return the folder of a model's session journals."""
    return run / "journal" / model


def log_path(run: Path, model: str, number: int = 1) -> Path:
    """Return what a model's workers wrote to stderr; those that work beside the first have files of their own."""
    return run / "logs" / (f"{model}.log" if number == 1 else f"{model}.worker-{number}.log")


def find_logs(run: Path, model: str) -> list[Path]:
    """Return the logs that are there of a model's workers, the first's first."""
    others = sorted((run / "logs").glob(f"{glob.escape(model)}.worker-*.log"))
    return [path for path in (log_path(run, model), *others) if path.is_file()]


def spill_folder(run: Path) -> Path:
    """Return where workers put texts that are too long for a line."""
    return run / "spill"


def remove_empty_spills(run: Path) -> None:
    """Delete the folders of workers that left no text there."""
    for folder in spill_folder(run).glob("*/"):
        with suppress(OSError):
            folder.rmdir()


def remove_leftovers(run: Path) -> None:
    """Delete temporary files and spilled texts that killed processes left; only the holder of the run's lock may.

    Scoring writes beside the lock: in its folders a temporary file goes only where nobody wrote to it for an hour.
    """
    for folder in (run / "predictions", set_aside_folder(run), fresh_folder(run)):
        remove_temporaries(folder)
    for folder in (run, run / "scores"):
        remove_temporaries(folder, ABANDONED_S)
    for path in spill_folder(run).glob("*"):
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
