"""The sentences below a comparison of runs: what the gate says, what was left out, and how to read the rest."""

from collections.abc import Iterator, Sequence

from orchestrator.reporting.numbers import number_text, p_text, signed_text
from orchestrator.scoring.changes import DOCUMENTS_MIN
from orchestrator.scoring.compare import RunComparison
from orchestrator.scoring.comparison import Comparison
from orchestrator.scoring.gate import Finding
from orchestrator.scoring.matching import Unmatched

_SHOWN = 5


def gate_sentence(found: RunComparison, *, strict: bool = False) -> str | None:
    """Return why the gate fails, None where it passes or there is none."""
    gate = found.gate
    if gate is None or gate.has_passed(strict=strict):
        return None
    if gate.regressions:
        of = f"{len(gate.regressions)} of {_comparisons(len(gate.findings))}"
        return f"{found.second}: lost more than allowed in {of}: {_listed(found, gate.regressions)}"
    parts = [f"{found.second}: no regression was found, but --strict asks to rule one out"]
    if gate.undecided:
        parts.append(f"not ruled out in {_listed(found, gate.undecided)}")
    if gate.unjudged:
        parts.append(f"not compared: {_names(gate.unjudged)}")
    return "; ".join(parts)


def gate_notes(found: RunComparison, *, strict: bool = False) -> Iterator[str]:
    """Yield what the gate found."""
    gate = found.gate
    if gate is None:
        return
    limits = ", ".join(
        dict.fromkeys(
            f"{number_text(each.max_regression, _unit(found, each.metric))} in {each.metric}" for each in gate.findings
        )
    )
    n = len(gate.findings)
    if gate.regressions:
        yield (
            f"Gate: failed. More than allowed ({limits}) was lost in {len(gate.regressions)} of {_comparisons(n)}: "
            f"{_listed(found, gate.regressions)}."
        )
    else:
        said = "passed" if gate.has_passed(strict=strict) else "failed, as --strict asks for more"
        yield f"Gate: {said}. None of {_comparisons(n)} shows a loss of more than {limits}."
    if gate.undecided:
        yield (
            f"Gate: cannot tell in {len(gate.undecided)} of {_comparisons(n)}: the interval reaches beyond what is "
            f"allowed, so that more may be lost ({_listed(found, gate.undecided)}). More samples would tell."
        )
    if gate.unjudged:
        yield f"Gate: not judged, as there is nothing to compare with: {_names(gate.unjudged)}."


def make_notes(found: RunComparison) -> Iterator[str]:
    """Yield what differs between the runs, what was left out, and how to read the figures."""
    yield from found.origins
    yield from _tell_unmatched(found.unmatched)
    yield from _tell_missing(found)
    yield from _tell_groups(found)
    yield from _tell_detectable(found)
    total = len(found.comparisons) + sum(each.metric is not None for each in found.unmatched)
    yield (
        "difference: B less A, paired on samples, with its 95 % interval, clustered by document. p: signs flipped by "
        f"document, Holm's correction over {_comparisons(total)}. No difference seen is not: no difference."
    )


def _tell_unmatched(unmatched: Sequence[Unmatched]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Unmatched]] = {}
    for each in unmatched:
        groups.setdefault((each.of, each.reason), []).append(each)
    for (of, reason), those in groups.items():
        yield f"Not compared, of {'A' if of == 'first' else 'B'}: {_names(those)}: {reason}."


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


def _listed(found: RunComparison, findings: Sequence[Finding]) -> str:
    counts = {_key(each): change for each, change in zip(found.comparisons, found.changes, strict=True)}
    texts = []
    for each in findings[:_SHOWN]:
        unit = _unit(found, each.metric)
        lacking = counts[_key(each)].n_missing_second
        texts.append(
            f"{each.metric} of {each.second.text} by {signed_text(each.loss, each.low, each.high, unit)}"
            + (f", p {p_text(each.p_holm)}" if each.outcome == "regression" else "")
            + (f", {lacking} of its samples lacking an answer" if lacking else "")
        )
    more = f" and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
    return "; ".join(texts) + more


def _key(each: Comparison | Finding) -> tuple[str, str, str]:
    return each.metric, each.first.text, each.second.text


def _names(unmatched: Sequence[Unmatched]) -> str:
    names = [f"{each.metric} of {each.cell.text}" if each.metric else each.cell.text for each in unmatched]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _comparisons(n: int) -> str:
    return f"{n} comparison{'s' * (n != 1)}"


def _unit(found: RunComparison, metric: str) -> str:
    return found.metric_notes[metric].unit
