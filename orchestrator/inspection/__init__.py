"""What runs hold: the list of them, what one lacks and why, whether its files are sound, and what nobody needs."""

from orchestrator.inspection.completeness import CellState, Gap
from orchestrator.inspection.dropping import drop_cells
from orchestrator.inspection.folders import find_run, list_run_folders
from orchestrator.inspection.garbage import Cleaning, clean_run
from orchestrator.inspection.overview import RunLine, list_runs
from orchestrator.inspection.show import RunState, show_run
from orchestrator.inspection.sound_rows import Check
from orchestrator.inspection.stale import Stale
from orchestrator.inspection.verify import verify_run

__all__ = [
    "CellState",
    "Check",
    "Cleaning",
    "Gap",
    "RunLine",
    "RunState",
    "Stale",
    "clean_run",
    "drop_cells",
    "find_run",
    "list_run_folders",
    "list_runs",
    "show_run",
    "verify_run",
]
