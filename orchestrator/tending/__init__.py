"""Tending datasets: look for what is wrong with one, mend its paths, divide it, and show it."""

from orchestrator.tending.check import Check, Complaint, check_dataset
from orchestrator.tending.paths import Mended, fix_paths
from orchestrator.tending.sheet import write_sheet
from orchestrator.tending.split import Part, sample_dataset, split_dataset

__all__ = [
    "Check",
    "Complaint",
    "Mended",
    "Part",
    "check_dataset",
    "fix_paths",
    "sample_dataset",
    "split_dataset",
    "write_sheet",
]
