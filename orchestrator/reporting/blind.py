"""Whether a run has documents enough for any two of its cells to be told apart, and how that is said."""

from dataclasses import dataclass

from orchestrator.scoring import Comparison, Summary
from orchestrator.scoring.comparison import NONE_SEEN
from orchestrator.statistics import documents_needed


@dataclass(frozen=True, slots=True)
class TooFew:
    """So many `documents` at most were compared in `claims` comparisons, and `needed` is what that takes."""

    documents: int
    needed: int
    claims: int

    @property
    def short(self) -> str:
        """What is said where there is little room."""
        return f"{self._counted} too few to tell any cells apart; it takes {self.needed}"

    @property
    def sentence(self) -> str:
        """What is said where there is room for the reason."""
        among = "one comparison" if self.claims == 1 else f"{self.claims} comparisons"
        fewer = "" if self.claims == 1 else ", or fewer comparisons (`bakeoff compare` makes fewer)"
        return (
            f"{self._counted} too few for any certainty between these cells: among {among} no difference can be "
            f"shown, however great. It takes {self.needed} documents{fewer}."
        )

    @property
    def _counted(self) -> str:
        return "1 document is" if self.documents == 1 else f"{self.documents} documents are"


def find_too_few(summary: Summary, metric: str | None = None) -> TooFew | None:
    """Return why no cells can be told apart by `metric`, or by any; None where some can, or nothing was compared."""
    compared = [each for each in summary.compared.comparisons if metric in (None, each.metric)]
    claims = max(summary.compared.claims, len(summary.compared.comparisons))
    documents, needed = max((each.n_documents for each in compared), default=0), documents_needed(claims)
    return TooFew(documents, needed, claims) if compared and documents < needed else None


def told_verdict(summary: Summary, each: Comparison) -> str:
    """Return the verdict as it is told: where nothing could have been seen, that nothing was is no finding."""
    is_blind = each.verdict == NONE_SEEN and find_too_few(summary, each.metric) is not None
    return "too few documents" if is_blind else each.verdict
