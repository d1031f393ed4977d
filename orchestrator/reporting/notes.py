"""The sentences below a report: what is missing and why, and what the columns mean."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from orchestrator.scoring import Figure, Summary

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
        *_tell_missing(summary.figures),
        *_tell_stale(summary.stale),
        *_tell_deaf(summary.deaf),
        *_explain(summary),
    )


def cell_name(figure: Figure) -> str:
    """Return the name of a figure's cell on one line, such as `rapidocr / question`."""
    return " / ".join(part for part in (figure.model, params_text(figure.params), figure.prompt) if part)


def params_text(params: str) -> str:
    """Return canonical JSON of parameters as `name=value name=value`."""
    return " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in json.loads(params).items())


def _tell_outdated(summary: Summary) -> Iterator[str]:
    if summary.is_outdated:
        yield f"the run went on after these scores were made; `bakeoff score {summary.run}` brings them up to date"


def _tell_missing(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield a line per cell and set of reasons; metrics are named where not all miss the same answers."""
    overall = [figure for figure in figures if figure.group == "all"]
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
                yield f"{name}: {missing} of {those[0].n_total} not scored{by}: {why}"


def _tell_stale(stale: dict[str, int]) -> Iterator[str]:
    for model, n in stale.items():
        yield f"{model}: {n} older predictions belong to no cell of the run's plan and count nowhere"


def _tell_deaf(models: Sequence[str]) -> Iterator[str]:
    if models:
        verb = "ignores" if len(models) == 1 else "ignore"
        yield f"{', '.join(models)} {verb} the prompt: asked once an image, the answer counts for all its questions."


def _explain(summary: Summary) -> Iterator[str]:
    yield "±: half of the 95 % confidence interval of the mean, clustered by document."
    if any(figure.corpus is not None for figure in summary.figures):
        yield "corpus: all errors over the length of all references, with no cap per answer."
    yield from dict.fromkeys(_MEANINGS[metric] for metric in summary.metrics if metric in _MEANINGS)
