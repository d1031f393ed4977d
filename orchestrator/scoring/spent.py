"""What the answers of a run's cells took: time, money and tokens, each answer paid for once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator.results.expected import Expected, iter_expected
from orchestrator.results.plan import Cell
from orchestrator.scoring.answers import Answers, open_answers
from orchestrator.scoring.cell_scores import Digests, digests

SPENT = ("latency_s", "cost", "input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum over answers; `known` of them said how much, and each of these `mean` on average (None: none did)."""

    total: float
    known: int
    mean: float | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What `answers` distinct answers took, by the names of `SPENT`."""

    answers: int
    amounts: Mapping[str, Amount]


def read_spent(run: Path, cells: Sequence[Cell], ids: Digests) -> dict[tuple[str, str, str], Spent]:
    """Return by cell what its answers took to the samples whose digests are `ids`, which ascend.

    An answer that counts for many samples, as of a model that ignores the prompt, counts once.
    """
    found: dict[tuple[str, str, str], Spent] = {}
    for model in dict.fromkeys(cell.model for cell in cells):
        with open_answers(run, model, SPENT) as answers:
            for cell in cells:
                if cell.model == model:
                    found[cell.name] = _add_up(answers, iter_expected(run, cell, with_references=False), ids)
    return found


def _add_up(answers: Answers, expected: Iterator[list[Expected]], ids: Digests) -> Spent:
    seen: set[bytes] = set()
    totals, known = dict.fromkeys(SPENT, 0.0), dict.fromkeys(SPENT, 0)
    for batch in expected:
        keys = _new_keys(batch, ids, seen)
        rows = answers.find(keys)
        for name in SPENT:
            values = [value for value in rows[name] if value is not None]
            totals[name] += float(sum(values))
            known[name] += len(values)
    amounts = {name: Amount(totals[name], n, totals[name] / n if n else None) for name, n in known.items()}
    return Spent(len(seen), amounts)


def _new_keys(batch: Sequence[Expected], ids: Digests, seen: set[bytes]) -> list[str]:
    """Return the keys of the answers to samples in `ids` that are not among those `seen`, and add them."""
    places = np.minimum(np.searchsorted(ids, wanted := digests(row.sample_id for row in batch)), len(ids) - 1)
    new: list[str] = []
    for row, is_shown in zip(batch, (ids[places] == wanted).tolist(), strict=True):
        short = bytes.fromhex(row.key[:16])
        if is_shown and short not in seen:
            seen.add(short)
            new.append(row.key)
    return new
