"""Turn a cell's tally into figures: over all answers, per doc_class, question_type, pair and reference length."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from orchestrator.metrics import Metric
from orchestrator.scoring.macro_f1 import macro_f1
from orchestrator.scoring.main_metrics import main_metrics
from orchestrator.scoring.summary import Figure, Group
from orchestrator.scoring.tally import LENGTHS, Column, Samples, Tally
from orchestrator.statistics import Floats, Ints, Means, clustered_means

# Reasons for want of a score that are the dataset's: no model can be blamed for them.
NOT_THE_MODELS = frozenset({"no_reference", "unreadable_reference", "unknown_size"})


class _Grouping(NamedTuple):
    """A way to divide samples: each group's (doc_class, question_type, reference_length), each sample's group."""

    group: Group
    names: Sequence[tuple[str | None, str | None, str | None]]
    numbers: Ints
    metrics: Sequence[Metric]


class _Statistics(NamedTuple):
    """One metric over every group of a grouping."""

    means: Means
    worst_case: Floats
    corpus: Floats
    counts: Ints  # answers by group and reason


def make_figures(tally: Tally) -> Iterator[Figure]:
    """Yield the figures of every grouping and metric of `tally`; nothing where the cell has no samples."""
    if not tally.samples:
        return
    samples = Samples(*map(np.concatenate, zip(*tally.samples, strict=True)))
    for grouping in _groupings(tally, samples):
        for metric in grouping.metrics:
            statistics = _compute(tally, metric, grouping, samples.documents)
            for number in range(len(grouping.names)):
                yield _figure(tally, metric, grouping, statistics, number)


def _groupings(tally: Tally, samples: Samples) -> Iterator[_Grouping]:
    classes, types, every = list(tally.doc_classes), list(tally.question_types), tally.metrics
    yield _Grouping("all", [(None, None, None)], np.zeros_like(samples.documents), every)
    if any(classes):
        yield _Grouping("doc_class", [(name, None, None) for name in classes], samples.doc_classes, every)
    if any(types):
        yield _Grouping("question_type", [(None, name, None) for name in types], samples.question_types, every)
    if any(classes) and any(types):
        width = len(types)
        pairs, numbers = np.unique(samples.doc_classes * width + samples.question_types, return_inverse=True)
        names = [(classes[pair // width], types[pair % width], None) for pair in pairs.tolist()]
        yield _Grouping("doc_class/question_type", names, numbers, every)
    lengths, numbers = np.unique(samples.lengths, return_inverse=True)
    if (lengths >= 0).sum() > 1:
        strata = [(None, None, LENGTHS[length] if length >= 0 else None) for length in lengths.tolist()]
        yield _Grouping("reference_length", strata, numbers, main_metrics(every))


def is_fraction(metric: Metric, scores: Floats) -> bool:
    """Tell whether `scores` of a metric lie within [0, 1]; a metric of the user's may promise it and fail."""
    return metric.unit == "fraction" and bool(((scores >= 0) & (scores <= 1)).all())


def worst_score(metric: Metric) -> float:
    """Return the worst score that an answer can have by a metric whose scores are fractions."""
    return 1.0 if metric.direction == "lower" else 0.0


def _compute(tally: Tally, metric: Metric, grouping: _Grouping, documents: Ints) -> _Statistics:
    column, count = tally.columns[metric.name], len(grouping.names)
    scores = np.concatenate(column.scores)
    kept = ~np.isnan(scores)
    is_bounded = is_fraction(metric, scores[kept])
    means = clustered_means(scores[kept], grouping.numbers[kept], documents[kept], count, is_fraction=is_bounded)
    unknown = np.full(count, math.nan)
    return _Statistics(
        means,
        _worst_case(tally, metric, scores, grouping) if is_bounded else unknown,
        _corpus(tally, metric, column, grouping) if metric.aggregate else unknown,
        _count_reasons(tally, column, grouping),
    )


def _worst_case(tally: Tally, metric: Metric, scores: Floats, grouping: _Grouping) -> Floats:
    """Return means in which answers without a score count as the worst; those without a reference do not count."""
    reasons = np.concatenate(tally.columns[metric.name].reasons).reshape(-1, tally.cell.repeats)
    scored = (reasons == 0).sum(axis=1)
    blameless = [number for reason, number in tally.reasons.items() if reason in NOT_THE_MODELS]
    missing = ((reasons != 0) & ~np.isin(reasons, blameless)).sum(axis=1)
    counted = scored + missing
    kept = counted > 0
    totals = np.where(scored > 0, np.nan_to_num(scores) * scored, 0) + missing * worst_score(metric)
    groups, count = grouping.numbers[kept], len(grouping.names)
    sums = np.bincount(groups, totals[kept] / counted[kept], minlength=count)
    samples = np.bincount(groups, minlength=count)
    means: Floats = np.divide(sums, samples, out=np.full(count, math.nan), where=samples > 0)
    return means


def _corpus(tally: Tally, metric: Metric, column: Column, grouping: _Grouping) -> Floats:
    count = len(grouping.names)
    if metric.aggregate == "macro_f1":
        return macro_f1(np.concatenate(column.labels), np.repeat(grouping.numbers, tally.cell.repeats), count)
    errors = np.bincount(grouping.numbers, np.concatenate(column.errors), minlength=count)
    weights = np.bincount(grouping.numbers, np.concatenate(column.weights), minlength=count)
    corpus: Floats = np.divide(errors, weights, out=np.full(count, math.nan), where=weights > 0)
    return 1 - corpus if metric.aggregate == "f1" else corpus


def _count_reasons(tally: Tally, column: Column, grouping: _Grouping) -> Ints:
    width = len(tally.reasons)
    groups = np.repeat(grouping.numbers, tally.cell.repeats)
    cells = groups * width + np.concatenate(column.reasons)
    return np.bincount(cells, minlength=len(grouping.names) * width).reshape(-1, width)


def _figure(tally: Tally, metric: Metric, grouping: _Grouping, statistics: _Statistics, number: int) -> Figure:
    model, params, prompt = tally.cell.name
    doc_class, question_type, reference_length = grouping.names[number]
    means, counts = statistics.means, statistics.counts[number].tolist()
    return Figure(
        model=model,
        params=params,
        prompt=prompt,
        group=grouping.group,
        doc_class=doc_class,
        question_type=question_type,
        reference_length=reference_length,
        metric=metric.name,
        mean=_or_none(means.mean[number]),
        standard_error=_or_none(means.error[number]),
        low=_or_none(means.low[number]),
        high=_or_none(means.high[number]),
        worst_case=_or_none(statistics.worst_case[number]),
        corpus=_or_none(statistics.corpus[number]),
        n_scored=counts[0],
        n_total=sum(counts),
        n_samples=int(means.samples[number]),
        n_documents=int(means.documents[number]),
        reasons={name: n for name, n in zip(tally.reasons, counts, strict=True) if name and n},
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
