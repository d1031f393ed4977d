"""Hold a bake-off between vision-language models: the functions behind the commands, for notebooks and scripts."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.api import (
        check_runner,
        clean_run,
        compare,
        drop_cells,
        examine,
        find_workspace,
        init_workspace,
        leaderboard,
        list_models,
        list_runs,
        new_runner,
        open_workspace,
        plan_set,
        report,
        report_page,
        run,
        run_set,
        score,
        score_set,
        show_run,
        try_model,
        verify_run,
    )

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "check_runner",
    "clean_run",
    "compare",
    "drop_cells",
    "examine",
    "find_workspace",
    "init_workspace",
    "leaderboard",
    "list_models",
    "list_runs",
    "new_runner",
    "open_workspace",
    "plan_set",
    "report",
    "report_page",
    "run",
    "run_set",
    "score",
    "score_set",
    "show_run",
    "try_model",
    "verify_run",
]


def __dir__() -> list[str]:
    """Show the functions to a notebook's completion."""
    return __all__


def __getattr__(name: str) -> Any:
    """Import the functions when one is used: they bring pyarrow and numpy in, which `bakeoff --help` does without."""
    if name in __all__:
        return getattr(importlib.import_module("orchestrator.api"), name)
    raise AttributeError(f"module 'orchestrator' has no attribute '{name}'")
