"""What a run's answers add up to, cell by cell, in one pass over its rows: some tens of bytes for each."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orchestrator.scoring.spent import Amount

CellKey = tuple[str, str, str]
"""What tells a cell from its siblings: model, overrides as canonical JSON, prompt."""

_SPENT = ("latency_s", "cost", "input_tokens", "output_tokens")


@dataclass(slots=True)
class Repeats:
    """How far the repeats of a cell's samples agree, by one metric: sums over samples with two scores or more."""

    n: int = 0
    deviations: float = 0.0
    by_repeat: dict[int, list[float]] = field(default_factory=dict)  # per repeat: sum and number of scores

    def add(self, scores: Mapping[int, float]) -> None:
        """Take one sample's scores by repeat."""
        for repeat, score in scores.items():
            sums = self.by_repeat.setdefault(repeat, [0.0, 0.0])
            sums[0] += score
            sums[1] += 1
        if len(scores) > 1:
            self.n += 1
            self.deviations += float(np.std(list(scores.values()), ddof=1))

    @property
    def deviation(self) -> float | None:
        """The mean standard deviation within a sample."""
        return self.deviations / self.n if self.n else None

    @property
    def means(self) -> list[float]:
        """The mean of each repeat."""
        return [total / n for total, n in self.by_repeat.values() if n]


@dataclass(slots=True)
class Totals:
    """One cell's answers so far; rows come sample by sample, repeats innermost.

    An answer that counts for many samples, as of a model that ignores the prompt, is paid for once: by its key.
    """

    metrics: Sequence[str]
    repeated: int = 1  # answers to one sample
    answers: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    scores: dict[str, "array[float]"] = field(default_factory=dict)
    repeats: dict[str, Repeats] = field(default_factory=dict)
    several: int = 0  # samples with two answers or more
    alike: int = 0  # of these, samples whose answers are all the same
    _keys: "array[int]" = field(default_factory=lambda: array("Q"))
    _spent: dict[str, "array[float]"] = field(default_factory=lambda: {name: array("d") for name in _SPENT})
    _sample: str | None = None
    _texts: list[bytes] = field(default_factory=list)
    _measured: dict[str, dict[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make room for each metric."""
        self.scores = {metric: array("d") for metric in self.metrics}
        self.repeats = {metric: Repeats() for metric in self.metrics}

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one answer."""
        if row["sample_id"] != self._sample:
            self._end_sample()
            self._sample = row["sample_id"]
        self.answers += 1
        self.statuses[row["status"]] += 1
        if row["status"] != "missing":
            self._keys.append(int(row["key"][:16], 16))
            for name, values in self._spent.items():
                values.append(_number(row[name]))
        for metric, values in self.scores.items():
            score = row.get(metric)
            values.append(_number(score))
            if score is not None and self.repeated > 1:
                self._measured.setdefault(metric, {})[row["repeat"]] = score
        if row["answer"] is not None and self.repeated > 1:
            self._texts.append(hashlib.blake2b(row["answer"].encode(errors="replace"), digest_size=8).digest())

    def finish(self) -> None:
        """Say that all rows were added."""
        self._end_sample()
        self._sample = None

    def spent(self, name: str) -> Amount:
        """Return what the answers took of `latency_s`, `cost`, `input_tokens` or `output_tokens`."""
        _, first = np.unique(np.frombuffer(self._keys, np.uint64), return_index=True)
        values = np.frombuffer(self._spent[name], np.float64)[first]
        known = int((~np.isnan(values)).sum())
        total = float(np.nansum(values))
        return Amount(total, known, total / known if known else None)

    @property
    def asked(self) -> int:
        """The number of distinct answers that there are."""
        return len(np.unique(np.frombuffer(self._keys, np.uint64)))

    def _end_sample(self) -> None:
        if len(self._texts) > 1:
            self.several += 1
            self.alike += len(set(self._texts)) == 1
        for metric, scores in self._measured.items():
            self.repeats[metric].add(scores)
        self._texts.clear()
        self._measured.clear()


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
