"""Many answers and what each is compared with, as flat lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pairs:
    """Answers (or what else a metric reads of them), and the references of all of them one after the other.

    `owners` has for each reference the row of its answer, ascending; None where each answer has just one.
    """

    values: list[Any]
    references: list[str]
    owners: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, values: list[Any], references: Sequence[tuple[str, ...]]) -> Self:
        """Take each of `values` with its own references."""
        flat = list(chain.from_iterable(references))
        if len(flat) == len(values) and all(references):
            return cls(values, flat)
        return cls(values, flat, np.repeat(np.arange(len(values)), [len(each) for each in references]))

    def tuples(self) -> list[tuple[str, ...]]:
        """Return the references of each answer."""
        if self.owners is None:
            return list(zip(self.references))  # of one list: tuples of one
        ends = np.searchsorted(self.owners, np.arange(len(self.values)), side="right").tolist()
        return [tuple(self.references[start:end]) for start, end in zip([0, *ends], ends, strict=False)]

    def aligned(self) -> list[Any]:
        """Return for each reference the value that goes with it."""
        return self.values if self.owners is None else [self.values[owner] for owner in self.owners.tolist()]
