"""A cell's scores read back from its run's Parquet: some bytes a sample, whatever the number of metrics."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.errors import BakeoffError
from orchestrator.results.layout import scores_path
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.schema import SCORES
from orchestrator.scoring.cell_name import CellName
from orchestrator.scoring.figures import NOT_THE_MODELS
from orchestrator.statistics import Floats

Digests = NDArray[np.uint64]
Counts = NDArray[np.int16]

_Piece = tuple[Digests, Digests, Floats, NDArray[np.bool_]]  # ids, documents, scores, is one missing

_COLUMNS = ("key", "sample_id", "model", "params", "prompt_id", "document", "metric", "score", "reason")


@dataclass(frozen=True, slots=True)
class CellScores:
    """One metric of a cell, per sample in the order of `ids`.

    `ids` and `documents` are digests, `totals` the sums of the scores of its repeats, `scored` how many of these have
    one, `missing` how many have none though the dataset has all that it takes.
    """

    ids: Digests
    documents: Digests
    totals: Floats
    scored: Counts
    missing: Counts

    def means(self, worst: float | None = None) -> Floats:
        """Return the mean of each sample's repeats, NaN without a score; with `worst`, what is missing scores that."""
        missing = self.missing if worst is not None else np.zeros_like(self.missing)
        counted = self.scored + missing
        sums = self.totals + missing * (worst or 0.0)
        means: Floats = np.divide(sums, counted, out=np.full(len(sums), np.nan), where=counted > 0)
        return means


def digests(texts: Iterable[str]) -> Digests:
    """Return eight bytes for each text; of a million, two are the same with a chance of 3 in 100 million."""
    return np.frombuffer(
        b"".join([hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]), np.uint64
    )


def read_cell_scores(run: Path, cell: CellName, metrics: Sequence[str]) -> dict[str, CellScores]:
    """Read the scores of `cell` by each of `metrics`; raise BakeoffError where the run has none of them."""
    path, remedy = scores_path(run, cell.model), f"run `bakeoff score {run.name}` again"
    if not path.is_file():
        raise BakeoffError(f"{run.name}: model '{cell.model}' was not scored; {remedy}")
    pieces: dict[str, list[_Piece]] = {metric: [] for metric in metrics}
    with ParquetReader(path, SCORES, remedy=remedy) as file:
        for batch in file.batches(_COLUMNS):
            of_cell = batch.filter(
                _where(batch, {"model": cell.model, "params": cell.params, "prompt_id": cell.prompt})
            )
            for metric in metrics:
                rows = of_cell.filter(pc.equal(of_cell["metric"], metric))
                if rows.num_rows:
                    pieces[metric].append(_digest(rows, f"{path}: was written by an older bakeoff; {remedy}"))
    for metric, found in pieces.items():
        if not found:
            raise BakeoffError(f"{run.name}: has no scores by {metric} of {cell.text}; {remedy}")
    return {metric: _gather(pieces.pop(metric)) for metric in metrics}


def _where(batch: pa.RecordBatch, values: dict[str, str]) -> pa.Array:
    return reduce(pc.and_, [pc.equal(batch[name], value) for name, value in values.items()])


def _digest(rows: pa.RecordBatch, complaint: str) -> _Piece:
    """Return digests of ids and documents, scores, and where one is missing for a reason that is the model's."""
    if rows["document"].null_count:
        raise BakeoffError(complaint)
    scores = rows["score"].to_numpy(zero_copy_only=False)
    is_models = pc.invert(pc.is_in(rows["reason"], pa.array(sorted(NOT_THE_MODELS))))
    missing = np.isnan(scores) & is_models.to_numpy(zero_copy_only=False)
    documents = rows["document"].dictionary_encode()
    of_documents = digests(documents.dictionary.to_pylist())[documents.indices.to_numpy()]
    return digests(rows["sample_id"].to_pylist()), of_documents, scores, missing


def _gather(pieces: Sequence[_Piece]) -> CellScores:
    ids, documents, scores, missing = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    unique, first, owners = np.unique(ids, return_index=True, return_inverse=True)
    is_scored = ~np.isnan(scores)
    return CellScores(
        ids=unique,
        documents=documents[first],
        totals=np.bincount(owners, np.nan_to_num(scores), minlength=len(unique)).astype(np.float64),
        scored=np.bincount(owners, is_scored, minlength=len(unique)).astype(np.int16),
        missing=np.bincount(owners, missing, minlength=len(unique)).astype(np.int16),
    )
