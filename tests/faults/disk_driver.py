"""Be the orchestrator whose disk fills up: run what the argument says and print the key of each answer written down."""

import os
import signal
import sys
from typing import Any

from orchestrator.results.journal import Journal
from tests.faults.driver import main, tell

_append = Journal.append


def _watch(die_after: int) -> None:
    """Tell of every answer once the journal has it; die by ourselves after so many of them, 0 for never."""
    written = 0

    def append_and_tell(journal: Journal, rows: list[dict[str, Any]]) -> None:
        nonlocal written
        _append(journal, rows)
        keys = [row["key"] for row in rows if row["status"] == "ok"]
        tell("Written", keys=keys)
        written += len(keys)
        if die_after and written >= die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.append = append_and_tell  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    _watch(int(sys.argv[2]))
    sys.exit(main(sys.argv[1]))
