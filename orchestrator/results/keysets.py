"""Many keys at once: as numpy arrays of half their hex digits, 32 bytes each, which no two keys share in practice."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.errors import BakeoffError

HEX_DIGITS = 64
_HALF = "S32"  # 128 bits: two of a billion keys collide with a probability below 1e-20

Keys = NDArray[np.bytes_]


def from_arrow(column: pa.Array) -> Keys:
    """Return the keys of a string column; raise BakeoffError where one of them is none."""
    if column.null_count or pc.any(pc.not_equal(pc.binary_length(column), HEX_DIGITS)).as_py():
        raise BakeoffError("a file of predictions holds keys that are none; `bakeoff runs verify` tells which")
    values = column.buffers()[2]
    if values is None or len(column) == 0:
        return np.zeros(0, _HALF)
    start = column.buffers()[1]
    first = int(np.frombuffer(start, np.int32, 1, column.offset * 4)[0])
    whole = np.frombuffer(values, f"S{HEX_DIGITS}", len(column), first)
    return whole.astype(_HALF)


def from_texts(keys: Sequence[str]) -> Keys:
    """Return the keys of a list of hex texts."""
    return np.array([key[:32] for key in keys], dtype=_HALF)


def joined(parts: Iterable[Keys]) -> Keys:
    """Return all of `parts` one after the other."""
    return np.concatenate([np.zeros(0, _HALF), *parts])


def are_distinct(keys: Keys) -> bool:
    """Tell whether no key is there twice."""
    ordered = np.sort(keys)
    return not bool((ordered[1:] == ordered[:-1]).any())


def best_rows(keys: Keys, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each distinct key the largest of its ranks."""
    if not len(keys):
        return ranks
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return np.maximum.reduceat(ranks[order], starts)
