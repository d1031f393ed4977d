"""Let `python -m orchestrator` be the command line."""

from orchestrator.cli import main

main()
