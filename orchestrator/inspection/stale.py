"""Predictions that no cell of the plan asks for any more: how many, and why as far as it can be told."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.identity import canonical
from orchestrator.inspection.completeness import Rows, Wanted, read_wanted
from orchestrator.results.layout import PROMPTS_NAME, SAMPLES_NAME
from orchestrator.results.parquet import ParquetReader, read_rows
from orchestrator.results.plan import Cell
from orchestrator.results.schema import PROMPTS, SAMPLES

REASONS = {
    "model": "the plan no longer asks this model",
    "sample": "the sample is no longer in the dataset",
    "prompt": "the prompt is no longer asked",
    "prompt_text": "the prompt was edited",
    "params": "the parameters changed",
    "content": "the image, the question, or the runner's code or requirements changed",
}


@dataclass(frozen=True, slots=True)
class Stale:
    """Predictions of a model that count nowhere; `why` is a key of `REASONS`."""

    model: str
    why: str
    rows: int


def find_stale(run: Path, model: str, rows: Rows, wanted: Sequence[Wanted]) -> list[Stale]:
    """Return the predictions of `model` that none of its cells, `wanted`, asks for, by reason, the commonest first."""
    is_stale = np.ones(len(rows.keys), bool)
    for cell in wanted:
        is_stale &= ~np.isin(rows.keys, cell.keys)
    if not is_stale.any():
        return []
    if not wanted:
        return [Stale(model, "model", int(is_stale.sum()))]
    table = rows.table.filter(pa.array(is_stale))
    has_old_text = _asked_with_old_text(run, rows.keys[is_stale], [each.cell for each in wanted])
    counts = Counter(_reasons(table, has_old_text, _sample_ids(run), [each.cell for each in wanted]))
    return [Stale(model, why, n) for why, n in counts.most_common()]


def _reasons(
    table: pa.Table, has_old_text: NDArray[np.bool_], samples: pa.ChunkedArray, cells: Sequence[Cell]
) -> Iterator[str]:
    """Yield why each row is stale; what is certain comes before what is guessed."""
    is_deaf = all(cell.ignores_prompt for cell in cells)
    prompts = {cell.prompt for cell in cells}
    params = {canonical(cell.params) for cell in cells}
    has_sample = pc.is_in(table["sample_id"], value_set=samples).to_pylist()
    columns = (table[name].to_pylist() for name in ("prompt_id", "params"))
    for is_there, is_old, prompt, given in zip(has_sample, has_old_text.tolist(), *columns, strict=True):
        if not is_there:
            yield "sample"
        elif prompt not in prompts and not is_deaf:
            yield "prompt"
        elif is_old:
            yield "prompt_text"
        else:
            yield "content" if given in params else "params"


def _asked_with_old_text(run: Path, keys: NDArray[np.bytes_], cells: Sequence[Cell]) -> NDArray[np.bool_]:
    """Return for each of `keys` whether it is what a cell would ask with an earlier text of its prompt."""
    texts: dict[str, list[str]] = {}
    for row in read_rows(run / PROMPTS_NAME, PROMPTS):
        texts.setdefault(row["id"], []).append(row["sha256"])
    found = np.zeros(len(keys), bool)
    for cell in cells:
        for text in texts.get(cell.prompt, ()):
            if text != cell.prompt_sha256 and not cell.ignores_prompt and not found.all():
                earlier = cell.model_copy(update={"prompt_sha256": text, "limit": None})
                found |= np.isin(keys, read_wanted(run, earlier).keys)
    return found


def _sample_ids(run: Path) -> pa.ChunkedArray:
    with ParquetReader(run / SAMPLES_NAME, SAMPLES) as file:
        return pa.chunked_array([batch["id"] for batch in file.batches(["id"])], pa.string())
