"""What the gate says, in sentences."""

from collections.abc import Iterator, Sequence

from orchestrator.reporting.numbers import number_text, p_text
from orchestrator.scoring.bounds import FEW
from orchestrator.scoring.compare import RunComparison
from orchestrator.scoring.gate import Finding, Gate
from orchestrator.scoring.matching import Unmatched
from orchestrator.statistics.binomial import cases_needed

_SHOWN = 5


def gate_sentence(found: RunComparison, *, strict: bool = False) -> str | None:
    """Return why the gate fails, None where it does not or there is none."""
    gate = found.gate
    if gate is None or not gate.has_failed(strict=strict):
        return None
    if gate.regressions:
        return f"{found.second}: lost more than allowed in {_listed(found, gate.regressions)}"
    parts = [f"{found.second}: no regression was found, but --strict asks to rule one out"]
    if open_ones := _open(gate, strict=True):
        parts.append(f"not ruled out in {_listed(found, open_ones)}")
    if gate.nothing_to_lose:
        parts.append(f"nothing to lose in {_listed(found, gate.nothing_to_lose)}")
    if gate.unjudged:
        parts.append(f"not judged: {names_of(gate.unjudged)}")
    return "; ".join(parts)


def gate_notes(found: RunComparison, *, strict: bool = False) -> Iterator[str]:
    """Yield what the gate found; "passed" only where all was judged and passed."""
    gate = found.gate
    if gate is None:
        return
    open_ones = _open(gate, strict=strict)
    if gate.regressions:
        yield (
            f"Gate: failed{_asked_in_part(gate)}. More than allowed ({_limits(found, gate)}) was lost in "
            f"{_listed(found, gate.regressions)}."
        )
        if open_ones:
            yield f"Gate: undecided in {_listed(found, open_ones)}. {_remedy(open_ones)}"
    elif gate.passed and not (strict and open_ones):
        yield f"Gate: passed. {_tell_passed(found, gate)}"
    else:
        said = "failed, as --strict asks for more" if strict else "not failed"
        told = f"undecided in {_listed(found, open_ones)}" if open_ones else "not all was judged"
        told = "nothing to lose" if gate.nothing_to_lose and not open_ones and not gate.unjudged else told
        yield f"Gate: {said}{_asked_in_part(gate)}; {told}."
        if open_ones:
            yield f"Gate: more than allowed ({_limits(found, gate)}) may be lost there, or not. {_remedy(open_ones)}"
    if any(each.n_changed is not None and each.at_most is not None for each in open_ones):
        yield (
            f"Gate: where fewer than {FEW} documents changed much, no interval tells what a rarer change is worth. So "
            "the loss at most counts documents, as if each might lose all; it may be far more than the interval there."
        )
    if gate.nothing_to_lose:
        yield (
            f"Gate: nothing to lose in {_listed(found, gate.nothing_to_lose)}. Whatever B does there, no loss is more "
            "than allowed: take a metric by which A is good at something, or allow less."
        )
    if gate.unjudged:
        yield f"Gate: not judged: {names_of(gate.unjudged)}."


def _open(gate: Gate, *, strict: bool) -> Sequence[Finding]:
    """Return what is undecided, of which more documents may tell."""
    findings = gate.not_ruled_out if strict else gate.undecided
    return [each for each in findings if each.outcome != "nothing to lose"]


def names_of(unmatched: Sequence[Unmatched]) -> str:
    """Return what was not compared: cells, metrics of cells or of all, samples of cells."""
    more = f" and {len(unmatched) - _SHOWN} more" if len(unmatched) > _SHOWN else ""
    return ", ".join(map(_name, unmatched[:_SHOWN])) + more


def comparisons(n: int) -> str:
    """Return `n comparisons`."""
    return f"{n} comparison{'s' * (n != 1)}"


def _name(each: Unmatched) -> str:
    parts = [each.metric, each.cell.text if each.cell else None]
    name = " of ".join(part for part in parts if part)
    if each.samples:
        return f"{each.samples[1] - each.samples[0]:,} of {each.samples[1]:,} samples of {name}, as {each.reason}"
    return name


def _asked_in_part(gate: Gate) -> str:
    """Return on how many of the first run's samples it judged, where not on all."""
    least = min((each.samples for each in gate.unjudged if each.samples), default=None)
    return f", on {least[0]:,} of A's {least[1]:,} samples" if least else ""


def _limits(found: RunComparison, gate: Gate) -> str:
    texts = (f"{number_text(each.max_regression, _unit(found, each))} in {each.metric}" for each in gate.findings)
    return ", ".join(dict.fromkeys(texts))


def _tell_passed(found: RunComparison, gate: Gate) -> str:
    n, same = len(gate.findings), gate.counts["unchanged"]
    parts = []
    if same < n:
        where = f"in {comparisons(n)}" if not same else f"in {n - same} of {comparisons(n)}"
        parts.append(f"A loss of more than {_limits(found, gate)} is ruled out {where}.")
    if same:
        parts.append(f"No score changed in {same} of {comparisons(n)}.")
    return " ".join(parts)


def _remedy(findings: Sequence[Finding]) -> str:
    """Return how many documents would tell, where that is known."""
    rare = [each for each in findings if each.n_changed is not None and each.outcome != "regression"]
    if any(each.max_regression <= 0 for each in rare):
        return "Where few documents change, no number of them rules out a loss of more than 0; allow a little."
    needed = max((cases_needed(each.max_regression) or 0 for each in rare if each.max_regression < 1), default=0)
    if needed:
        return f"Where few documents change, it takes {needed:,} of them without a loss to rule a rare one out."
    return "More documents would tell."


def _listed(found: RunComparison, findings: Sequence[Finding]) -> str:
    total = comparisons(len(found.gate.findings if found.gate else ()))
    more = f" and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
    before = [None, *((each.first, each.second) for each in findings)]
    texts = "; ".join(
        f"{each.metric}{f' of {each.second.text}' * (cells != (each.first, each.second))} {_told(found, each)}"
        for cells, each in zip(before, findings[:_SHOWN], strict=False)
    )
    return f"{len(findings)} of {total}: {texts}{more}"


def _told(found: RunComparison, each: Finding) -> str:
    """Return what was lost or gained, within what limits, and of how many samples an answer is lacking."""
    compared, change = next(
        (compared, change)
        for compared, change in zip(found.comparisons, found.changes, strict=True)
        if (compared.metric, compared.first, compared.second) == (each.metric, each.first, each.second)
    )
    if each.outcome == "nothing to lose":
        worst = 1.0 if found.metric_notes[each.metric].direction == "lower" else 0.0
        mean, least = (number_text(value, _unit(found, each)) for value in (compared.first_mean, worst))
        return f"(A's mean is {mean}, and {least} the worst there is)"
    more = f", {change.n_missing_second} of its samples lacking an answer" if change.n_missing_second else ""
    return f"{_amount(each, _unit(found, each))}{_range(each, _unit(found, each))}{more}"


def _amount(each: Finding, unit: str) -> str:
    if each.outcome == "unchanged":
        return "did not change"
    if not each.loss:
        return "lost nothing"
    return f"{'lost' if each.loss > 0 else 'gained'} {number_text(abs(each.loss), unit)}"


def _range(each: Finding, unit: str) -> str:
    """Return what else the truth may be, and how that is known."""
    n = f"{each.n_documents} document{'s' * (each.n_documents != 1)}"
    if each.outcome == "regression" and each.p_holm is None:
        return f" in {n}, too few for a test, so that the loss which is seen decides"
    p = f", p {p_text(each.p_holm)}" if each.outcome == "regression" and each.p_holm is not None else ""
    if each.outcome != "regression" and each.at_most is None:
        return f" ({n} give{'s' * (each.n_documents == 1)} no interval)"
    if each.outcome != "regression" and each.n_changed is not None:
        much = " much" * (each.outcome != "unchanged")
        return f" ({number_text(each.at_most, unit)} at most: {each.n_changed} of {n} changed{much})"
    if each.low is None or each.high is None:
        return p.replace(", p", " (p", 1) + ")" * bool(p)
    most, least = number_text(abs(each.high), unit), number_text(abs(each.low), unit)
    if each.low < 0 < each.high:
        told = f"{most} at most, or gained {least}" if each.loss >= 0 else f"{least} at most, or lost {most}"
        return f" ({told}{p})"
    return f" ({min(least, most, key=float)} to {max(least, most, key=float)}{p})"


def _unit(found: RunComparison, each: Finding) -> str:
    return found.metric_notes[each.metric].unit
