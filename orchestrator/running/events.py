"""What a run tells while it goes on; whoever shows it decides how."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.results.schema import FINAL_STATUSES
from orchestrator.running.spent import Spent


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for the person who waits."""

    text: str


@dataclass(frozen=True, slots=True)
class Advance:
    """How far one model has come: predictions in all, there before, answered now, failed now.

    `setting` tells parameters from others that it is asked with, where there are several.
    `stage` says what it does instead of answering new ones, such as loading; mostly it is empty.
    """

    model: str
    total: int
    before: int
    ok: int
    failed: int
    elapsed_s: float
    stage: str = ""
    setting: str = ""

    @property
    def label(self) -> str:
        """The model, and with which setting."""
        return f"{self.model} {self.setting}".rstrip()

    @property
    def rate(self) -> float:
        """Predictions a second in this run."""
        return (self.ok + self.failed) / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at this rate, None while nothing is known."""
        left = self.total - self.before - self.ok - self.failed
        return left / self.rate if self.rate > 0 else None


@dataclass(frozen=True, slots=True)
class ModelOutcome:
    """How a model's part ended; `error` says why it failed, None where it did not; `is_passing`: later it may not.

    `stopped` says which limit of the whole call ended it, which is no failure. A model that is asked with several
    parameters has a part for each, and `setting` tells them apart.
    `total` counts distinct requests, which stand for `answers` (samples x prompts x repeats, several of which may make
    the same request). `before` counts those with a final prediction already, by its status, `statuses` what came of the
    others now; `reasons` holds the first message of each status that is no answer, `spent` what the answers took.
    """

    model: str
    answers: int
    total: int
    before: dict[str, int]
    statuses: dict[str, int]
    elapsed_s: float
    error: str | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    is_passing: bool = False
    setting: str = ""
    stopped: str | None = None

    @property
    def label(self) -> str:
        """The model, and with which setting."""
        return f"{self.model} {self.setting}".rstrip()

    @property
    def answered(self) -> int:
        """Answers there are now, those of earlier calls included."""
        return self.before.get("ok", 0) + self.ok

    @property
    def ok(self) -> int:
        """Answers that came now."""
        return self.statuses.get("ok", 0)

    @property
    def failed(self) -> int:
        """Predictions that came now and are no answer."""
        return sum(self.statuses.values()) - self.ok

    @property
    def is_complete(self) -> bool:
        """Tell whether the same call would find nothing to ask."""
        statuses = Counter(self.before) + Counter(self.statuses)
        return sum(n for status, n in statuses.items() if status in FINAL_STATUSES) == self.total


Event = Note | Advance | ModelOutcome
Notify = Callable[[Event], None]
