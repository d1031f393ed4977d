"""What an answer of a model took so far, in any run of the workspace: seconds and US dollars."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.config import Workspace
from orchestrator.errors import BakeoffError
from orchestrator.identity import canonical
from orchestrator.results.layout import journal_folder, predictions_path
from orchestrator.results.view import read_predictions

_COLUMNS = ("params", "status", "latency_s", "cost", "time", "input_tokens", "output_tokens")
_PER = 1_000_000
_ENOUGH = 20_000  # rows of a run: a million would be held in memory to learn the same


@dataclass(frozen=True, slots=True)
class Pace:
    """What one answer of a model takes; None where nothing tells. `is_priced`: its answers cost money."""

    seconds: float | None = None
    cost: float | None = None
    is_priced: bool = False


class Past:
    """The answers of models in all runs, read once each."""

    def __init__(self, workspace: Workspace) -> None:
        """Look below the workspace's results."""
        self._results = workspace.results
        self._tables: dict[str, list[pa.Table]] = {}

    def find_pace(self, model: str, params: Mapping[str, Any]) -> Pace:
        """Return the pace of `model` with `params`; with others where it was never asked with these."""
        if model not in self._tables:
            self._tables[model] = list(self._read(model))
        tables = self._tables[model]
        same = [table.filter(pc.equal(table["params"], canonical(dict(params)))) for table in tables]
        chosen = same if any(table.num_rows for table in same) else tables
        return _pace([table for table in chosen if table.num_rows], params)

    def _read(self, model: str) -> list[pa.Table]:
        tables = []
        for run in sorted(self._results.iterdir()) if self._results.is_dir() else ():
            if predictions_path(run, model).is_file() or journal_folder(run, model).is_dir():
                try:
                    batches = list(_answers(run, model))
                except BakeoffError:  # damaged, which is told where it is used
                    continue
                tables += [pa.Table.from_batches(batches)] if batches else []
        return tables


def _answers(run: Path, model: str) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in read_predictions(run, model, _COLUMNS):
        answers = batch.filter(pc.equal(batch["status"], "ok"))
        yield answers
        rows += answers.num_rows
        if rows >= _ENOUGH:
            return


def _pace(tables: list[pa.Table], params: Mapping[str, Any]) -> Pace:
    prices = [params.get("price_input"), params.get("price_output")]
    is_priced = "price_input" in params
    if not tables:
        return Pace(is_priced=is_priced)
    told = [value for table in tables for value in table["cost"].drop_null().to_numpy()]
    cost = float(np.mean(told)) if told else _price(tables, prices)
    took = [_busy_s(table) for table in tables]
    answers = sum(n for _, n in took)
    seconds = sum(s for s, _ in took) / answers if answers else None
    return Pace(seconds, cost, is_priced or bool(told))


def _price(tables: list[pa.Table], prices: list[Any]) -> float | None:
    """Return what an answer costs by its tokens, where prices are known and tokens were told."""
    if not all(isinstance(price, int | float) for price in prices):
        return None
    means = [
        [value for table in tables for value in table[name].drop_null().to_numpy()]
        for name in ("input_tokens", "output_tokens")
    ]
    if not all(means):
        return None
    return float(sum(np.mean(tokens) * price for tokens, price in zip(means, prices, strict=True)) / _PER)


def _busy_s(table: pa.Table) -> tuple[float, int]:
    """Return the seconds in which answers came, and how many did.

    Of the time since the one before, an answer counts no more than it took itself: what is longer was a pause. So what
    is asked at the same time, or in one batch, is counted once.
    """
    known = table.filter(pc.and_(pc.is_valid(table["latency_s"]), pc.is_valid(table["time"])))
    if not known.num_rows:
        return 0.0, 0
    ended = known["time"].cast(pa.int64()).to_numpy() / 1e6
    order = np.argsort(ended, kind="stable")
    latency = known["latency_s"].to_numpy()[order]
    gaps = np.diff(ended[order], prepend=-np.inf)
    return float(np.minimum(gaps, latency).sum()), len(latency)
