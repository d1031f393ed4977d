"""Tell a person who waits that a model is loading, and what it says of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.session import Session
from orchestrator.worker_life import WorkerSpec

FIRST_S, EVERY_S = 2.0, 10.0
WORDS_CHARS = 80


@dataclass(slots=True)
class Loading:
    """The time that a session takes to load: `look` tells of it after two seconds, and then every ten if it is to."""

    session: Session
    tell: Callable[[str], None]
    is_repeated: bool = True
    log: Path | None = None
    _since: float = field(default_factory=time.monotonic)
    _told: float | None = None

    def look(self) -> str:
        """Tell what is due; return in a few words what the session does, nothing once it is loaded."""
        words = self.session.loading
        if words is None:
            return ""
        now = time.monotonic()
        stage = f"loading for {now - self._since:.0f} s" + (f": {words[:WORDS_CHARS]}" if words else "")
        if self._told is None and now - self._since >= FIRST_S:
            self._told = now
            self.tell(announcement(self.session.spec, self.log))
        elif self.is_repeated and self._told is not None and now - self._told >= EVERY_S:
            self._told = now
            self.tell(stage)
        return stage


def announcement(spec: WorkerSpec, log: Path | None) -> str:
    """Return the sentence on a model that takes its time; `log` is where it can be watched."""
    checkpoint = spec.params.get("checkpoint")
    is_named = isinstance(checkpoint, str) and checkpoint and not Path(spec.folder, checkpoint).expanduser().is_dir()
    fetched = "; weights that are not in the cache are downloaded first" if is_named else ""
    return f"loading{fetched}" + (f"; follow it in {_shown(log)}" if log else "")


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
