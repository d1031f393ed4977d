"""What metrics are computed from: a batch of answers with its samples, made ready once for all metrics alike."""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import numpy as np

from orchestrator.metrics.metric import Floats, Measure, Measures, Metric, References, gather
from orchestrator.metrics.normalise import Normaliser
from orchestrator.results.expected import Expected
from orchestrator.scoring.intervals import Ints
from orchestrator.scoring.tally import Measured

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
        reasons, scored = self._once(("rows", *_about_rows(metric)), lambda: self._find_rows(metric))
        values, references = self._texts(metric)
        samples = self._samples() if metric.about else None
        if scored is not None:
            values, references = [values[row] for row in scored], [references[row] for row in scored]
            samples = samples and [samples[row] for row in scored]
        if metric.many is not None:
            measures = metric.many(values, references)
        else:
            found = _one_by_one(metric, values, references, samples)
            measures = gather([None if isinstance(one, str) else one for one in found])
            own = {
                row: one for row, one in zip(scored or range(len(found)), found, strict=True) if isinstance(one, str)
            }
            reasons = [own.get(row, reason) for row, reason in enumerate(reasons)] if own else reasons
        return Measured(measures if scored is None else _spread(measures, scored, len(reasons)), reasons)

    def _once(self, name: Hashable, make: Callable[[], Made]) -> Made:
        if name not in self._made:
            self._made[name] = make()
        return cast("Made", self._made[name])

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
        return self._once("extracted", self._extract)

    def _extract(self) -> list[str | None]:
        assert self._extractor is not None
        take = self._extractor.function
        return [None if text is None else take(text) for text in self._found["text"]]

    def _texts(self, metric: Metric) -> tuple[list[Any], list[References]]:
        references = self._once("references", lambda: [row.references for row in self._expected])
        normaliser = metric.normaliser
        if normaliser is None:
            return self._values(metric), references
        name = ("texts", metric.reads, metric.is_raw, normaliser.label)
        return self._once(name, lambda: _normalise(normaliser, self._values(metric), references))

    def _samples(self) -> list[dict[str, Any]]:
        return self._once("samples", self._describe)

    def _describe(self) -> list[dict[str, Any]]:
        infos = self._found.get("info") or [None] * len(self._expected)
        return [_to_sample(row, info) for row, info in zip(self._expected, infos, strict=True)]


def _about_rows(metric: Metric) -> tuple[Hashable, ...]:
    """Return all that `Inputs._find_rows` asks of a metric."""
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


def _normalise(
    normaliser: Normaliser, values: Sequence[Any], references: list[References]
) -> tuple[list[Any], list[References]]:
    rows = [row for row, value in enumerate(values) if value is not None]
    texts, normal = normaliser.pairs([values[row] for row in rows], references, rows)
    if len(rows) == len(values):
        return texts, normal
    spread: list[Any] = [None] * len(values)
    for row, text in zip(rows, texts, strict=True):
        spread[row] = text
    return spread, normal


def _one_by_one(
    metric: Metric, values: Sequence[Any], references: Sequence[References], samples: Sequence[Any] | None
) -> list[Measure | str]:
    function = metric.function
    if metric.batch is not None:
        return metric.batch(values, references, samples or [{}] * len(values))
    if samples is None:
        return [function(value, right) for value, right in zip(values, references, strict=True)]
    return [function(value, right, one) for value, right, one in zip(values, references, samples, strict=True)]


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
