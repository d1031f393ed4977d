"""The leaderboards of several runs, one for each metric, ranked as on the page that they share."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.reporting.leaderboard import leaderboard_table
from orchestrator.reporting.tabular import Table
from orchestrator.scoring.leaderboard import board_of
from orchestrator.scoring.ranking import align, compare_all
from orchestrator.scoring.several import open_several


def board_tables(runs: Sequence[Path]) -> list[Table]:
    """Return the leaderboard of `runs` by each main metric that all have, none of a single run.

    Holm's correction is over all of these metrics. Raises BakeoffError where the runs cannot be ranked together.
    """
    if len(runs) == 1:
        return []
    several = open_several(runs)
    aligned = align(several)
    compared = compare_all(several, aligned, "worst")
    return [leaderboard_table(board_of(several, aligned, compared, metric, "worst")) for metric in several.metrics]
