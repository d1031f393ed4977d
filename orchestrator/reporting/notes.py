"""The sentences below a report: what is missing and why, and what the columns mean."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from orchestrator.reporting.blind import find_too_few
from orchestrator.reporting.params import shorten
from orchestrator.reporting.twins import deaf_sentences
from orchestrator.scoring import Compared, Figure, Summary
from orchestrator.scoring.cell_name import params_text

_MEANINGS = {
    "cer_span": "cer_span: cer of the part of the answer most like the reference. Low beside a high cer, the "
    "model read the text but said more; high, it did not read it. No measure to choose a model by.",
    "cer_ci": "_ci: upper and lower case are alike.",
    "exact_ci": "_ci: upper and lower case are alike.",
}


def make_notes(summary: Summary) -> tuple[str, ...]:
    """Return what a reader of the figures has to know, the most important first."""
    return (
        *_tell_outdated(summary),
        *shorten(figure.params for figure in summary.figures).notes,
        *_tell_missing(summary),
        *_tell_stale(summary.stale),
        *deaf_sentences(summary.deaf, summary.twins),
        *_tell_extraction(summary),
        *_tell_detectable(summary),
        *_tell_left_out(summary.compared),
        *_explain(summary),
    )


def cell_name(figure: Figure) -> str:
    """Return the name of a figure's cell on one line, such as `rapidocr / question`."""
    return " / ".join(part for part in (figure.model, params_text(figure.params), figure.prompt) if part)


def _tell_outdated(summary: Summary) -> Iterator[str]:
    if summary.is_outdated:
        yield f"the run went on after these scores were made; `bakeoff score {summary.run}` brings them up to date"


def _tell_missing(summary: Summary) -> Iterator[str]:
    """Yield a line per set of reasons with the cells that have it, and what their means would be at worst."""
    cells: dict[str, list[tuple[str, str]]] = {}
    for name, what, worst in _iter_missing(summary):
        cells.setdefault(what, []).append((name, worst))
    n_cells = len({cell_name(figure) for figure in summary.figures})
    for what, those in cells.items():
        if len(those) == 1:
            ((name, worst),) = those
            yield f"{name}: {what}{'; counted as wrong: ' if worst else ''}{worst}"
            continue
        if len(those) == n_cells and not any(worst for _, worst in those):
            yield f"all {n_cells} cells, each: {what}"
            continue
        is_worse = any(worst for _, worst in those)
        told = [f"{name} ({worst or 'the same'})" if is_worse else name for name, worst in those]
        wrong = "; counted as wrong the means are" if is_worse else ""
        yield f"each of {len(those)} cells, {what}{wrong}: {', '.join(told)}"


def _iter_missing(summary: Summary) -> Iterator[tuple[str, str, str]]:
    """Yield cells, why which of their answers have no score, and the means at worst.

    Metrics are named where not all miss the same answers.
    """
    overall = [figure for figure in summary.figures if figure.group == "all"]
    for name, group in groupby(overall, cell_name):
        of_cell = list(group)
        alike: dict[tuple[tuple[str, int], ...], list[Figure]] = {}
        for figure in of_cell:
            alike.setdefault(tuple(figure.reasons.items()), []).append(figure)
        for reasons, those in alike.items():
            if reasons:
                by = "" if len(those) == len(of_cell) else " by " + ", ".join(f.metric for f in those)
                why = ", ".join(f"{n} {reason}" for reason, n in reasons)
                missing = those[0].n_total - those[0].n_scored
                worst = _worst_case([f for f in those if f.metric in summary.compared.metrics])
                yield name, f"{missing} of {those[0].n_total} not scored{by}: {why}", worst


def _worst_case(figures: Sequence[Figure]) -> str:
    """Return what the means would be at worst, nothing where what is missing is the dataset's."""
    means = [f"{f.metric} {f.worst_case:.3f}" for f in figures if f.worst_case is not None and f.worst_case != f.mean]
    return ", ".join(means)


def _tell_stale(stale: dict[str, int]) -> Iterator[str]:
    for model, n in stale.items():
        yield f"{model}: {n} older predictions belong to no cell of the run's plan and count nowhere"


def _tell_detectable(summary: Summary) -> Iterator[str]:
    """Yield the smallest differences that the dataset can see, in the comparisons made or against a cell to come."""
    compared, few = summary.compared, find_too_few(summary)
    sizes = [
        f"{value:.3f} in {metric}"
        for metric, value in compared.detectable.items()
        if value is not None and find_too_few(summary, metric) is None
    ]
    if few:
        yield few.sentence
    elif sizes and compared.comparisons:
        yield (
            f"The smallest difference that this dataset can see between two cells is about {', '.join(sizes)} "
            "(found in 80 % of cases where it is there, at 5 %; after Holm's correction it takes more)."
        )
    elif sizes:
        yield (
            f"The smallest difference that this dataset can see is at most about {', '.join(sizes)}: "
            "so much would a second cell have to differ if its answers were unrelated to these."
        )


def _tell_left_out(compared: Compared) -> Iterator[str]:
    most = max((each.n_left_out for each in compared.comparisons), default=0)
    if most:
        yield f"Comparisons leave out samples that only one of the two has a score for, up to {most} of them."


def _tell_extraction(summary: Summary) -> Iterator[str]:
    for label in dict.fromkeys(note.extractor for note in summary.metric_notes.values() if note.extractor):
        yield f"scored is what {label} took out of each answer; where it found nothing: parse_fail, no score."


def _explain(summary: Summary) -> Iterator[str]:
    yield "[low, high]: 95 % confidence interval, clustered by document."
    if summary.compared.comparisons:
        claims = summary.compared.claims
        yield (
            "b/e/w: on how many samples it is better, equal, worse than the best. "
            f"p: paired on samples, signs flipped by document, Holm's correction over {claims} "
            f"{'comparison' if claims == 1 else 'comparisons'}. No difference seen is not: no difference."
        )
    if any(figure.corpus is not None for figure in summary.figures):
        yield "corpus: all errors over the length of all references, with no cap per answer."
    yield from dict.fromkeys(_MEANINGS[metric] for metric in summary.metrics if metric in _MEANINGS)
