"""What a metric is: a function with a name, a unit, a direction and a declared normaliser."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics.normalise import Normaliser
from orchestrator.metrics.pairs import Pairs

References = tuple[str, ...]
Floats = NDArray[np.float64]
About = Literal["id", "question", "doc_class", "question_type", "answer_bbox", "metadata", "images", "document", "info"]


class Measure(NamedTuple):
    """One answer's figure; the rest is there where a corpus figure is made of it.

    `errors` and `weight` are what `ratio` and `f1` sum up; `labels` are the reference's class and the answer's.
    """

    score: float
    errors: float | None = None
    weight: float | None = None
    labels: tuple[str, str] | None = None


class Measures(NamedTuple):
    """The figures of many answers as arrays of one length; a score of NaN is none."""

    scores: Floats
    errors: Floats | None = None
    weights: Floats | None = None
    labels: list[tuple[str, str] | None] | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure for one answer, and how many of them become one.

    `function` gets the prediction's column `reads` and the references, both normalised where a normaliser is
    declared, and where `about` names fields of the sample also a mapping of these (metadata as a dict, images as
    (path, sha256), a missing box as None, `info` being what the runner told beside its answer). It returns a Measure,
    or a text: the reason why there is none, one word. `many`, where given, does the same for many at once, quicker,
    and always finds a figure; `batch` for lists of answers, references and mappings.

    The mean of the scores is always made; `aggregate` names a second figure over all answers: `ratio` is the sum of
    `errors` over the sum of `weight`; `f1` is pooled, `errors` being FP + FN and `weight` 2 TP + FP + FN, so that
    it is 1 - errors / weight; `macro_f1` is the mean of the F1 of every class that is a reference's, from `labels`.

    Answers are scored whose status is `ok`; with `scores_failures` all that there are. An extraction that a user
    declares comes first, unless the metric `is_raw`. `is_default` metrics are computed where none is named.
    """

    name: str
    description: str
    unit: str
    direction: Literal["higher", "lower"]
    function: Callable[..., Measure | str]
    needs_reference: bool = True
    normaliser: Normaliser | None = None
    aggregate: Literal["ratio", "f1", "macro_f1"] | None = None
    reads: str = "text"
    many: Callable[[Pairs], Measures] | None = None
    batch: Callable[[Sequence[Any], Sequence[References], Sequence[Mapping[str, Any]]], list[Measure | str]] | None = (
        None
    )
    about: tuple[About, ...] = ()
    scores_failures: bool = False
    is_raw: bool = False
    is_default: bool = False
    version: int = 1

    def measure(self, value: Any, references: References, sample: Mapping[str, Any] | None = None) -> Measure | str:
        """Return the figure of one answer; `references` must not be empty where `needs_reference`."""
        if self.normaliser is not None:
            value, references = self.normaliser.pair(value, references)
        return self.function(value, references, sample or {}) if self.about else self.function(value, references)


def gather(measures: Sequence[Measure | None]) -> Measures:
    """Return figures of single answers as arrays; of None there is no score."""
    errors = [measure.errors if measure else None for measure in measures]
    weights = [measure.weight if measure else None for measure in measures]
    labels = [measure.labels if measure else None for measure in measures]
    return Measures(
        _floats([measure.score if measure else None for measure in measures]),
        _floats(errors) if any(one is not None for one in errors) else None,
        _floats(weights) if any(one is not None for one in weights) else None,
        labels if any(labels) else None,
    )


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], np.float64)
