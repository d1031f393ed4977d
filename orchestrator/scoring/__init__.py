"""Scoring: what a run's answers are worth, from its directory alone."""

from orchestrator.scoring.score import score_run
from orchestrator.scoring.summary import Figure, Summary, read_summary

__all__ = ["Figure", "Summary", "read_summary", "score_run"]
