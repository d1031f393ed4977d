"""Experiment sets: a file that says what to compare, expanded to cells, planned, and carried out."""

from orchestrator.experiments.carrying import SetOutcome, Stops, run_set
from orchestrator.experiments.plan import PlannedCell, SetPlan, plan_set
from orchestrator.experiments.resolve import ExperimentSet, SetCell, open_set
from orchestrator.experiments.source import list_sets

__all__ = [
    "ExperimentSet",
    "PlannedCell",
    "SetCell",
    "SetOutcome",
    "SetPlan",
    "Stops",
    "list_sets",
    "open_set",
    "plan_set",
    "run_set",
]
