"""The functions behind the commands, for notebooks and scripts; `orchestrator` hands them on."""

from orchestrator.api.asking import open_set, plan_run, plan_set, run, run_set, try_model
from orchestrator.api.data import (
    check_dataset,
    fix_paths,
    import_dataset,
    import_predictions,
    sample_dataset,
    show_dataset,
    split_dataset,
)
from orchestrator.api.judging import compare, export, leaderboard, list_metrics, report, report_page, score, score_set
from orchestrator.api.keeping import (
    check_runner,
    clean_run,
    drop_cells,
    examine,
    init_workspace,
    list_models,
    list_runs,
    new_runner,
    show_run,
    verify_run,
)
from orchestrator.api.places import run_path
from orchestrator.config import find_workspace, open_workspace

__all__ = [
    "check_dataset",
    "check_runner",
    "clean_run",
    "compare",
    "drop_cells",
    "examine",
    "export",
    "find_workspace",
    "fix_paths",
    "import_dataset",
    "import_predictions",
    "init_workspace",
    "leaderboard",
    "list_metrics",
    "list_models",
    "list_runs",
    "new_runner",
    "open_set",
    "open_workspace",
    "plan_run",
    "plan_set",
    "report",
    "report_page",
    "run",
    "run_path",
    "run_set",
    "sample_dataset",
    "score",
    "score_set",
    "show_dataset",
    "show_run",
    "split_dataset",
    "try_model",
    "verify_run",
]
