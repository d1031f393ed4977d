"""What metrics are computed from: a batch of answers with its samples, made ready once for all metrics alike."""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import numpy as np

from orchestrator.metrics.metric import Floats, Measure, Measures, Metric, References, gather
from orchestrator.metrics.pairs import Pairs
from orchestrator.results.expected import Expected
from orchestrator.scoring.tally import Measured
from orchestrator.statistics import Ints

Made = TypeVar("Made")


class Extractor(Protocol):
    """What takes the answer proper out of what a model said; None where it is not there."""

    @property
    def label(self) -> str:
        """Names and versions."""
        ...

    @property
    def function(self) -> Callable[[str], str | None]:
        """From a text to a text."""
        ...


class _Rows(NamedTuple):
    """Why answers get no score (None: they do), and the numbers of those that do; None: all."""

    reasons: list[str | None]
    scored: list[int] | None


def is_extracted(metric: Metric) -> bool:
    """Tell whether `metric` gets what a declared extraction takes out of the answer."""
    return metric.reads == "text" and not metric.is_raw


class Inputs:
    """A batch of answers; `found` are columns of the predictions, None where there is no prediction."""

    def __init__(
        self, found: Mapping[str, list[Any]], expected: Sequence[Expected], extractor: Extractor | None = None
    ) -> None:
        """Take a batch; nothing is computed yet."""
        self._found = found
        self._expected = expected
        self._extractor = extractor
        self._made: dict[Hashable, Any] = {}

    def measure(self, metric: Metric) -> Measured:
        """Return the figures of every answer by `metric`, or why there is none."""
        reasons, scored = self._rows(metric)
        pairs = self._pairs(metric)
        if metric.many is not None:
            measures = metric.many(pairs)
        else:
            found = self._one_by_one(metric, pairs)
            measures = gather([None if isinstance(one, str) else one for one in found])
            reasons = _with_own(reasons, scored, found)
        return Measured(measures if scored is None else _spread(measures, scored, len(reasons)), reasons)

    def _once(self, name: Hashable, make: Callable[[], Made]) -> Made:
        if name not in self._made:
            self._made[name] = make()
        return cast("Made", self._made[name])

    def _rows(self, metric: Metric) -> _Rows:
        return self._once(("rows", _about_rows(metric)), lambda: self._find_rows(metric))

    def _find_rows(self, metric: Metric) -> _Rows:
        columns = (self._found["status"], self._found[metric.reads], self._values(metric), self._expected)
        reasons = [
            _reason_against(metric, status, raw, value, row.references)
            for status, raw, value, row in zip(*columns, strict=True)
        ]
        scored = [row for row, reason in enumerate(reasons) if reason is None]
        return _Rows(reasons, None if len(scored) == len(reasons) else scored)

    def _values(self, metric: Metric) -> list[Any]:
        if self._extractor is None or not is_extracted(metric):
            return self._found[metric.reads]
        take = self._extractor.function
        return self._once("extracted", lambda: [text if text is None else take(text) for text in self._found["text"]])

    def _pairs(self, metric: Metric) -> Pairs:
        """Return the answers that get a score with their references, normalised."""
        normaliser, rows = metric.normaliser, _about_rows(metric)
        plain = self._once(("plain", rows), lambda: self._plain(metric))
        return plain if normaliser is None else self._once((rows, normaliser.label), lambda: normaliser.batch(plain))

    def _plain(self, metric: Metric) -> Pairs:
        values = self._values(metric)
        rows = self._rows(metric).scored
        if rows is None:
            return Pairs.of(values, [row.references for row in self._expected])
        return Pairs.of([values[row] for row in rows], [self._expected[row].references for row in rows])

    def _one_by_one(self, metric: Metric, pairs: Pairs) -> list[Measure | str]:
        label = metric.normaliser.label if metric.normaliser else None
        references = self._once(("tuples", _about_rows(metric), label), pairs.tuples)
        samples = self._samples(metric) if metric.about else []
        if metric.batch is not None:
            return metric.batch(pairs.values, references, samples or [{}] * len(references))
        if samples:
            return list(map(metric.function, pairs.values, references, samples))
        return list(map(metric.function, pairs.values, references))

    def _samples(self, metric: Metric) -> list[dict[str, Any]]:
        """Return what there is to know about the sample of each answer that gets a score."""
        told = self._found.get("info") or [None] * len(self._expected)
        samples = self._once("samples", lambda: list(map(_to_sample, self._expected, told)))
        scored = self._rows(metric).scored
        return samples if scored is None else [samples[row] for row in scored]


def _about_rows(metric: Metric) -> Hashable:
    """Return what decides which answers a metric scores; metrics alike in it share texts."""
    return metric.reads, metric.is_raw, metric.needs_reference, metric.scores_failures


def _reason_against(metric: Metric, status: str | None, raw: Any, value: Any, references: References) -> str | None:
    """Return why an answer has no score, None where it gets one; what the dataset lacks is said first."""
    if metric.needs_reference and not references:
        return "no_reference"
    if status != "ok" and not (status and metric.scores_failures):
        return status or "missing"
    if value is None:
        return "unknown" if raw is None else "parse_fail"
    return None


def _with_own(
    reasons: list[str | None], scored: Sequence[int] | None, found: Sequence[Measure | str]
) -> list[str | None]:
    """Return `reasons` together with those that a metric itself gave."""
    own = [(row, one) for row, one in zip(scored or range(len(found)), found, strict=True) if isinstance(one, str)]
    if own:
        reasons = reasons.copy()
    for row, reason in own:
        reasons[row] = reason
    return reasons


def _spread(measures: Measures, rows: Sequence[int], count: int) -> Measures:
    """Return measures of all `count` answers, those of `rows` given, of the others none."""
    places = np.array(rows, np.int64)
    scores, errors, weights = (None if part is None else _spread_floats(part, places, count) for part in measures[:3])
    assert scores is not None
    labels: list[tuple[str, str] | None] | None = None
    if measures.labels is not None:
        labels = [None] * count
        for row, pair in zip(rows, measures.labels, strict=True):
            labels[row] = pair
    return Measures(scores, errors, weights, labels)


def _spread_floats(part: Floats, places: Ints, count: int) -> Floats:
    whole = np.full(count, np.nan)
    whole[places] = part
    return whole


def _to_sample(row: Expected, info: str | None) -> dict[str, Any]:
    return {
        "id": row.sample_id,
        "question": row.question,
        "doc_class": row.doc_class,
        "question_type": row.question_type,
        "answer_bbox": row.answer_bbox or None,
        "metadata": json.loads(row.metadata) if row.metadata else {},
        "images": row.images,
        "document": row.document,
        "info": json.loads(info) if info else {},
    }
