"""What is kept of a cell's scores to make its figures: numbers, some bytes per sample, and each name once."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics import Measures, Metric
from orchestrator.results.expected import Expected
from orchestrator.results.plan import Cell
from orchestrator.statistics import Floats, Ints

Name = TypeVar("Name", bound=Hashable)

_LONGEST = np.array([0, 2, 5, 10, 20, 50, 200])
LENGTHS = ("0", "1-2", "3-5", "6-10", "11-20", "21-50", "51-200", "201+")
"""Characters of a sample's first reference, by which figures are divided: an error weighs most in a short one."""


class Measured(NamedTuple):
    """One metric of one batch: for each answer a figure, or NaN and the reason why there is none."""

    measures: Measures
    reasons: list[str | None]


@dataclass(frozen=True, slots=True)
class Column:
    """One metric of a cell, in pieces as long as the batches.

    `scores` is per sample the mean over its scored repeats, or NaN; `errors` and `weights` are the sums over
    its repeats, for metrics with a corpus figure; `reasons` is per answer a number of `Tally.reasons`, `labels`
    per answer two numbers of `Tally.labels`, the reference's and the answer's, -1 where it has no score.
    """

    scores: list[Floats] = field(default_factory=list)
    errors: list[Floats] = field(default_factory=list)
    weights: list[Floats] = field(default_factory=list)
    reasons: list[Ints] = field(default_factory=list)
    labels: list[Ints] = field(default_factory=list)


class Samples(NamedTuple):
    """Per sample: the numbers of its doc_class, question_type and document, in order of appearance.

    `lengths` are the numbers of its reference's length among `LENGTHS`, -1 for a sample without a reference.
    """

    doc_classes: Ints
    question_types: Ints
    documents: Ints
    lengths: Ints


class Tally:
    """The scores of one cell so far; answers come in the order of samples, repeats innermost."""

    def __init__(self, cell: Cell, metrics: Sequence[Metric]) -> None:
        """Start with nothing scored."""
        self.cell = cell
        self.metrics = metrics
        self.columns = {metric.name: Column() for metric in metrics}
        self.samples: list[Samples] = []
        self.reasons: dict[str | None, int] = {None: 0}
        self.labels: dict[str, int] = {}
        self.doc_classes: dict[str | None, int] = {}
        self.question_types: dict[str | None, int] = {}
        self.documents: dict[str, int] = {}

    def add_samples(self, expected: Sequence[Expected]) -> None:
        """Take the groups and documents of a batch of answers."""
        firsts = expected[:: self.cell.repeats]
        doc_classes = _number([row.doc_class for row in firsts], self.doc_classes)
        question_types = _number([row.question_type for row in firsts], self.question_types)
        documents = _number([document_of(row) for row in firsts], self.documents)
        self.samples.append(Samples(doc_classes, question_types, documents, _length_numbers(firsts)))

    def add(self, metric: Metric, measured: Measured) -> None:
        """Take one metric of the same batch."""
        column = self.columns[metric.name]
        column.reasons.append(_number(measured.reasons, self.reasons).astype(np.int16))
        scores, errors, weights, labels = measured.measures
        column.scores.append(_mean_known(self._table(scores)))
        if metric.aggregate == "macro_f1":
            column.labels.append(self._number_labels(labels or [None] * len(scores)))
        elif metric.aggregate:
            column.errors.append(np.nansum(self._table(np.zeros(len(scores)) if errors is None else errors), axis=1))
            column.weights.append(np.nansum(self._table(np.zeros(len(scores)) if weights is None else weights), axis=1))

    def _table(self, values: Floats) -> NDArray[np.float64]:
        return values.reshape(-1, self.cell.repeats)

    def _number_labels(self, labels: Sequence[tuple[str, str] | None]) -> Ints:
        """Return (answers, 2) numbers."""
        number = self.labels
        pairs = [
            (-1, -1) if pair is None else tuple([number.setdefault(label, len(number)) for label in pair])
            for pair in labels
        ]
        return np.array(pairs, np.int64).reshape(-1, 2)


def _mean_known(table: NDArray[np.float64]) -> Floats:
    known = (~np.isnan(table)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.nansum(table, axis=1) / known  # type: ignore[no-any-return]


def _number(names: Sequence[Name], numbers: dict[Name, int]) -> Ints:
    """Return each name's number, giving new names the next ones."""
    for name in dict.fromkeys(names):
        numbers.setdefault(name, len(numbers))
    return np.fromiter((numbers[name] for name in names), np.int64, len(names))


def _length_numbers(rows: Sequence[Expected]) -> Ints:
    lengths = np.array([len(row.references[0]) if row.references else -1 for row in rows], np.int64)
    return np.where(lengths < 0, -1, np.searchsorted(_LONGEST, lengths))


def document_of(row: Expected) -> str:
    """Return what samples of one document share: its name, else the first image's digest, else the sample's own id."""
    if row.document is not None:
        return f"document {row.document}"
    return row.images[0].sha256 if row.images and row.images[0].sha256 else row.sample_id
