"""Reports: what a run's scores say, as data that a terminal or a page can show."""

from orchestrator.reporting.table import summary_tables
from orchestrator.reporting.tabular import Table
from orchestrator.reporting.worst import WorstAnswer, worst, worst_table

__all__ = ["Table", "WorstAnswer", "summary_tables", "worst", "worst_table"]
