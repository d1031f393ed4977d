"""Scoring: what a run's answers are worth, from its directory alone."""

from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.comparison import Comparison
from orchestrator.scoring.score import score_run
from orchestrator.scoring.summary import Compared, Figure, Summary, read_summary

__all__ = ["CellName", "Compared", "Comparison", "Figure", "Summary", "read_summary", "score_run"]
