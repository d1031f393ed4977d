"""Turn a cell's tally into figures: over all answers, per doc_class, question_type and pair of them."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from orchestrator.metrics import Metric
from orchestrator.scoring.intervals import Floats, Ints, Means, clustered_means
from orchestrator.scoring.macro_f1 import macro_f1
from orchestrator.scoring.summary import Figure, Group
from orchestrator.scoring.tally import Column, Samples, Tally


class _Grouping(NamedTuple):
    """A way to divide samples: each group's (doc_class, question_type), each sample's group number."""

    group: Group
    names: list[tuple[str | None, str | None]]
    numbers: Ints


class _Statistics(NamedTuple):
    """One metric over every group of a grouping."""

    means: Means
    corpus: Floats
    counts: Ints  # answers by group and reason


def make_figures(tally: Tally) -> Iterator[Figure]:
    """Yield the figures of every grouping and metric of `tally`; nothing where the cell has no samples."""
    if not tally.samples:
        return
    samples = Samples(*map(np.concatenate, zip(*tally.samples, strict=True)))
    for grouping in _groupings(tally, samples):
        for metric in tally.metrics:
            statistics = _compute(tally, metric, grouping, samples.documents)
            for number in range(len(grouping.names)):
                yield _figure(tally, metric, grouping, statistics, number)


def _groupings(tally: Tally, samples: Samples) -> Iterator[_Grouping]:
    classes, types = list(tally.doc_classes), list(tally.question_types)
    yield _Grouping("all", [(None, None)], np.zeros_like(samples.documents))
    if any(classes):
        yield _Grouping("doc_class", [(name, None) for name in classes], samples.doc_classes)
    if any(types):
        yield _Grouping("question_type", [(None, name) for name in types], samples.question_types)
    if any(classes) and any(types):
        width = len(types)
        pairs, numbers = np.unique(samples.doc_classes * width + samples.question_types, return_inverse=True)
        names = [(classes[pair // width], types[pair % width]) for pair in pairs.tolist()]
        yield _Grouping("doc_class/question_type", names, numbers)


def _compute(tally: Tally, metric: Metric, grouping: _Grouping, documents: Ints) -> _Statistics:
    column, count = tally.columns[metric.name], len(grouping.names)
    scores = np.concatenate(column.scores)
    kept = ~np.isnan(scores)
    means = clustered_means(scores[kept], grouping.numbers[kept], documents[kept], count)
    corpus = _corpus(tally, metric, column, grouping) if metric.aggregate else np.full(count, math.nan)
    return _Statistics(means, corpus, _count_reasons(tally, column, grouping))


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
    doc_class, question_type = grouping.names[number]
    means, counts = statistics.means, statistics.counts[number].tolist()
    return Figure(
        model=model,
        params=params,
        prompt=prompt,
        group=grouping.group,
        doc_class=doc_class,
        question_type=question_type,
        metric=metric.name,
        mean=_or_none(means.mean[number]),
        half_width=_or_none(means.half_width[number]),
        corpus=_or_none(statistics.corpus[number]),
        n_scored=counts[0],
        n_total=sum(counts),
        n_samples=int(means.samples[number]),
        n_documents=int(means.documents[number]),
        reasons={name: n for name, n in zip(tally.reasons, counts, strict=True) if name and n},
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
