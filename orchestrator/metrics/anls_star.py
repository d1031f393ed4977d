"""ANLS*: normalised Levenshtein similarity of texts, lists and objects."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from orchestrator.metrics.json_text import read_json
from orchestrator.metrics.metric import Measure, Metric

THRESHOLD = 0.5
_NOTHING: tuple[Any, ...] = (None, {}, [], "")

Similarity = tuple[float, int]
"""The sum of the similarities of what was compared, and how many those are."""


def anls_star(text: str, references: tuple[str, ...]) -> Measure:
    """Return the ANLS* of `text` and the reference most like it, from 0 to 1.

    A reference that is a JSON list or object is compared by its parts: lists by the best assignment of their items,
    objects by their keys; what is missing counts as much as what is invented. Any other reference is a text. A part
    scores 1 - NED, or 0 where that is below 0.5; case and spaces do not count. Where the reference is JSON and
    `text` is not, it scores 0. Peer et al. 2024, arXiv 2402.03848.
    """
    return Measure(max(_score(text, reference) for reference in references))


def _score(text: str, reference: str) -> float:
    expected = _parse(reference)
    answer = _parse(text) if isinstance(expected, dict | list) else text
    total, count = compare(expected, answer)
    return total / count if count else 1.0


def _parse(text: str) -> Any:
    """Return the list or object that `text` is in JSON, numbers as they are written; else `text` itself."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return read_json(text)
    except ValueError:
        return text


def compare(expected: Any, answer: Any) -> Similarity:
    """Return how alike two values of JSON are, part by part."""
    if isinstance(expected, dict) and isinstance(answer, dict):
        return _compare_objects(expected, answer)
    if isinstance(expected, list) and isinstance(answer, list):
        return _compare_lists(expected, answer)
    length = max(_length(expected), _length(answer))
    if expected is None:
        return (1.0 if answer in _NOTHING else 0.0), length
    if isinstance(expected, dict | list) or isinstance(answer, dict | list) or answer is None:
        return 0.0, length
    return _similarity(expected, answer), length


def _similarity(expected: Any, answer: Any) -> float:
    alike: float = Levenshtein.normalized_similarity(_plain(expected), _plain(answer))
    return alike if alike >= THRESHOLD else 0.0


def _plain(value: Any) -> str:
    return " ".join(str(value).lower().split())


def _length(value: Any) -> int:
    """Return the number of a value's parts, an empty list or object having none."""
    if isinstance(value, dict):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else 1


def _compare_objects(expected: dict[str, Any], answer: dict[str, Any]) -> Similarity:
    total, count = 0.0, 0
    for key in {**expected, **answer}:
        part, length = compare(expected.get(key), answer.get(key))
        count += length
        # As in the authors' code: a null that nobody asked for is counted, and nothing is gained by it.
        if key in expected or answer[key] not in _NOTHING:
            total += part
    return total, count


def _compare_lists(expected: list[Any], answer: list[Any]) -> Similarity:
    pairs = [[compare(one, other) for other in answer] for one in expected]
    chosen = _choose(pairs, expected, answer)
    total = sum(pairs[row][column][0] for row, column in chosen)
    count = sum(pairs[row][column][1] for row, column in chosen)
    rows, columns = {row for row, _ in chosen}, {column for _, column in chosen}
    count += sum(_length(one) for row, one in enumerate(expected) if row not in rows)
    count += sum(_length(other) for column, other in enumerate(answer) if column not in columns)
    return total, count


def _choose(pairs: list[list[Similarity]], expected: list[Any], answer: list[Any]) -> list[tuple[int, int]]:
    """Return which items belong together, of equally good ones those that are the same."""
    if not expected or not answer:
        return []
    means = np.array(
        [
            [
                math.nextafter(total / count if count else 1.0, 2.0 if one == other else 0.0)
                for (total, count), other in zip(row, answer, strict=True)
            ]
            for row, one in zip(pairs, expected, strict=True)
        ]
    )
    return assign(-means) if len(expected) <= len(answer) else [(r, c) for c, r in assign(-means.T)]


def assign(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the (row, column) pairs of least total cost, each row with a column of its own; no more rows than columns.

    The Hungarian method by shortest augmenting paths with potentials (Jonker and Volgenant 1987): O(rows² · columns).
    """
    rows, columns = costs.shape
    row_potential, column_potential = np.zeros(rows + 1), np.zeros(columns + 1)
    owner = np.full(columns + 1, rows)  # the row of each column; the last column is the root of the search
    for row in range(rows):
        owner[columns] = row
        column = columns
        shortest, before = np.full(columns, math.inf), np.full(columns, columns)
        was_seen = np.zeros(columns + 1, np.bool_)
        while owner[column] != rows:
            was_seen[column] = True
            here = owner[column]
            is_open = ~was_seen[:columns]
            reached = costs[here] - row_potential[here] - column_potential[:columns]
            is_nearer = is_open & (reached < shortest)
            shortest[is_nearer], before[is_nearer] = reached[is_nearer], column
            nearest = int(np.argmin(np.where(is_open, shortest, math.inf)))
            step = shortest[nearest]
            row_potential[owner[was_seen]] += step
            column_potential[was_seen] -= step
            shortest[is_open] -= step
            column = nearest
        while column != columns:
            owner[column] = owner[before[column]]
            column = before[column]
    return sorted((int(owner[column]), column) for column in range(columns) if owner[column] != rows)


ANLS_STAR = Metric(
    name="anls_star",
    description="ANLS*: likeness of texts, JSON lists and JSON objects, part by part, case ignored",
    unit="fraction",
    direction="higher",
    function=anls_star,
)
