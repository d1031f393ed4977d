"""The sentences below a comparison of runs: what was left out, and how to read the rest."""

from collections.abc import Iterator, Sequence

from orchestrator.reporting.compared_gate import comparisons, names_of
from orchestrator.reporting.numbers import number_text
from orchestrator.scoring.changes import DOCUMENTS_MIN
from orchestrator.scoring.compare import RunComparison
from orchestrator.scoring.matching import Unmatched
from orchestrator.statistics.power import documents_needed


def make_notes(found: RunComparison) -> Iterator[str]:
    """Yield what differs between the runs, what was left out, and how to read the figures."""
    yield from found.origins
    yield from _tell_unmatched(found.unmatched)
    yield from _tell_missing(found)
    yield from _tell_groups(found)
    yield from _tell_detectable(found)
    yield from _tell_blind(found)
    n = len(found.comparisons)
    holm = f", after Holm's correction over {comparisons(n)}, since of many one stands out by chance" if n > 1 else ""
    yield (
        "difference: B less A on the same samples, with its 95 % interval; samples of one document count together. p: "
        f"how often chance alone does as much (signs flipped by document){holm}. No difference seen is not: no "
        "difference."
    )


def _tell_unmatched(unmatched: Sequence[Unmatched]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Unmatched]] = {}
    for each in unmatched:
        groups.setdefault((each.of, each.reason), []).append(each)
    for (of, reason), those in groups.items():
        yield f"Not compared, of {'A' if of == 'first' else 'B'}: {names_of(those)}: {reason}."


def _tell_missing(found: RunComparison) -> Iterator[str]:
    """Yield what became of answers without a score, where there are any."""
    counted = [(each.n_missing_first, each.n_missing_second) for each in found.changes]
    alone = [(each.n_only_first, each.n_only_second) for each in found.changes]
    if any(map(any, counted)):
        yield (
            f"Answers without a score, such as refusals, count as the worst: of {_most(counted, 0)} samples in A and "
            f"{_most(counted, 1)} in B (the most by one metric)."
        )
    if any(map(any, alone)):
        remedy = (
            "" if found.missing == "worst" else "; --missing worst counts answers without a score, such as refusals"
        )
        yield (
            f"Left out are samples with a score in one run alone: {_most(alone, 0)} of A and "
            f"{_most(alone, 1)} of B (the most by one metric){remedy}."
        )


def _most(counts: Sequence[tuple[int, int]], place: int) -> str:
    return f"{max(each[place] for each in counts):,}"


def _tell_groups(found: RunComparison) -> Iterator[str]:
    if not found.n_groups:
        yield f"No doc_class or question_type alone was compared: none has {DOCUMENTS_MIN} documents and is not all."
    elif not found.groups:
        yield (
            f"No doc_class or question_type differs significantly ({found.n_groups} compared, Holm's correction over "
            "all of them)."
        )


def _tell_detectable(found: RunComparison) -> Iterator[str]:
    sizes = []
    for metric, note in found.metric_notes.items():
        seen = [each.detectable for each in found.comparisons if each.metric == metric and each.detectable is not None]
        if seen:
            least, most = (number_text(size, note.unit) for size in (min(seen), max(seen)))
            sizes.append(f"{least if least == most else f'{least} to {most}'} in {metric}")
    if sizes:
        gate = ", the gate a loss of so much more than allowed" if found.gate else ""
        yield (
            f"A true difference of {', '.join(sizes)} is found in 80 % of cases{gate}; smaller ones mostly go unseen "
            "(after Holm's correction it takes more)."
        )


def _tell_blind(found: RunComparison) -> Iterator[str]:
    """Yield that of too few documents nothing can be shown."""
    n = len(found.comparisons)
    needed = documents_needed(n)
    few = [each.n_documents for each in found.comparisons if each.n_documents < needed]
    if few:
        counts = f"{min(few)}" if min(few) == max(few) else f"{min(few)} to {max(few)}"
        yield (
            f"Of {counts} documents no difference can be shown among {comparisons(n)}, however great; "
            f"it takes {needed} or more."
        )
