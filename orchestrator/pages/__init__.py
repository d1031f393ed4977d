"""Pages: a run as one HTML file that opens from disk, its tables as Markdown, its plots as files."""

from orchestrator.pages.pictures import PICTURES, Pictures
from orchestrator.pages.report import Report, write_report

__all__ = ["PICTURES", "Pictures", "Report", "write_report"]
