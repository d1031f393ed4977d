"""What the parts of one call share: workspace, run and order, the way to a person, and what the machine lends."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.config import Workspace
from orchestrator.process import Child, spawn
from orchestrator.running.crew import Crew
from orchestrator.running.events import Note, Notify
from orchestrator.running.interrupt import Interrupt
from orchestrator.running.planning import Order
from orchestrator.running.pool import Grant, Pool


@dataclass(frozen=True, slots=True)
class Kitchen:
    """What the parts of one call share; used by all threads."""

    workspace: Workspace
    run: Path
    order: Order
    interrupt: Interrupt
    notify: Notify
    began_ns: int  # when images were digested: what is younger was changed since
    pool: Pool
    crew: Crew = field(default_factory=Crew)
    reading: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))  # of whole models' rows

    @property
    def disk_floor_bytes(self) -> int:
        """How much of the disk is left to others."""
        return int(self.workspace.settings.disk_floor_mb * 1e6)

    def tell(self, model: str, text: str) -> None:
        """Tell the person who waits a sentence about `model`."""
        self.notify(Note(f"{model}: {text}"))

    def is_over(self) -> bool:
        """Tell whether nothing more is to be begun."""
        return self.interrupt.level > 0 or self.order.ceiling.find_end() is not None

    def start(self, argv: Sequence[str], environment: Mapping[str, str], folder: Path, grant: Grant | None) -> Child:
        """Start a worker from the main thread, kept to the cores that it was lent."""
        child = self.crew.call(lambda: spawn(argv, environment, folder))
        if grant and grant.cores:
            child.pin(grant.cores)
        return child
