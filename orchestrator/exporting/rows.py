"""One row per expected answer of a run: what was asked, what came, and every score there is."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.errors import BakeoffError
from orchestrator.results.expected import SAMPLES_A_BATCH, Expected, iter_expected
from orchestrator.results.layout import SAMPLES_NAME, scores_path
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.plan import Cell, RunPlan
from orchestrator.results.schema import SAMPLES, SCORES
from orchestrator.scoring.answers import Answers, open_answers
from orchestrator.scoring.summary import read_summary, score_command

ANSWER_COLUMNS = (
    *("text", "status", "error_kind", "error_message", "stop_reason", "input_tokens", "output_tokens", "cost"),
    *("latency_s", "served_model", "time"),
)
COLUMNS = (
    *("sample_id", "images", "model", "params", "prompt", "repeat", "question", "doc_class", "question_type"),
    *("document", "asked", "references", "answer"),
    *ANSWER_COLUMNS[1:],
)
_OWN = ("question", "answer_bbox", "metadata")
_KEY_BYTES = 8  # of a key's 32: enough to see that two lists are the same


def iter_rows(run: Path, plan: RunPlan, metrics: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of `run` in the order of its plan's cells and samples, repeats innermost.

    `images` and `references` are lists of texts, `metadata` is a mapping, each metric is a number or None, `key` is
    there too. Raises BakeoffError where the scores are of another state of the run.
    """
    for model in dict.fromkeys(cell.model for cell in plan.cells):
        cells = [cell for cell in plan.cells if cell.model == model]
        scores = _Scores(run, model, metrics) if metrics else None
        with open_answers(run, model, ANSWER_COLUMNS) as answers:
            for cell in cells:
                yield from _cell_rows(run, cell, answers, scores)


def find_metrics(run: Path, plan: RunPlan) -> tuple[str, ...]:
    """Return the metrics that any model of the run has scores of, in the order they were made; none before scoring."""
    found: dict[str, None] = {}
    for model in dict.fromkeys(cell.model for cell in plan.cells):
        path = scores_path(run, model)
        if path.is_file():
            with ParquetReader(path, SCORES) as reader:
                for batch in reader.batches(("metric",)):
                    found.update(dict.fromkeys(pc.unique(batch["metric"]).to_pylist()))
    return tuple(found)


def find_metadata(run: Path) -> tuple[str, ...]:
    """Return the names of the samples' metadata, in order of appearance."""
    found: dict[str, None] = {}
    with ParquetReader(run / SAMPLES_NAME, SAMPLES) as reader:
        for batch in reader.batches(("metadata",)):
            for text in batch["metadata"].drop_null().to_pylist():
                found.update(dict.fromkeys(json.loads(text)))
    return tuple(found)


def _cell_rows(run: Path, cell: Cell, answers: Answers, scores: "_Scores | None") -> Iterator[dict[str, Any]]:
    model, params, prompt = cell.name
    for expected, samples in zip(iter_expected(run, cell), _sample_batches(run), strict=False):
        keys = [row.key for row in expected]
        found = answers.find(keys)
        measured = scores.take(keys) if scores else {}
        for number, row in enumerate(expected):
            sample = samples[number // cell.repeats]
            yield {
                "key": row.key,
                "sample_id": row.sample_id,
                "model": model,
                "params": params,
                "prompt": prompt,
                **_sample_columns(row, sample),
                **{name: found[name][number] for name in ANSWER_COLUMNS[1:]},
                "answer": found["text"][number],
                "status": found["status"][number] or "missing",
                **{name: _number(values[number]) for name, values in measured.items()},
            }


def _sample_columns(row: Expected, sample: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "images": [image.path for image in row.images],
        "repeat": row.repeat,
        "question": sample["question"],
        "doc_class": row.doc_class,
        "question_type": row.question_type,
        "document": row.document,
        "asked": row.prompt,
        "references": list(row.references),
        "answer_bbox": sample["answer_bbox"],
        "metadata": json.loads(sample["metadata"]) if sample["metadata"] else {},
    }


def _sample_batches(run: Path) -> Iterator[list[dict[str, Any]]]:
    with ParquetReader(run / SAMPLES_NAME, SAMPLES) as file:
        for batch in file.batches(_OWN, SAMPLES_A_BATCH):
            yield batch.to_pylist()


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


class _Scores:
    """A model's scores as arrays in the order they were written, which is that of its expected answers."""

    def __init__(self, run: Path, model: str, metrics: Sequence[str]) -> None:
        self._run = run
        path = scores_path(run, model)
        parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in metrics}
        keys: dict[str, list[NDArray[np.uint64]]] = {name: [] for name in metrics}
        if path.is_file():
            with ParquetReader(path, SCORES) as reader:
                for batch in reader.batches(("key", "metric", "score")):
                    for name in pc.unique(batch["metric"]).to_pylist():
                        if name in parts:
                            of_metric = batch.filter(pc.equal(batch["metric"], name))
                            parts[name].append(of_metric["score"].to_numpy(zero_copy_only=False))
                            keys[name].append(_short(of_metric["key"].to_pylist()))
        self._values = {name: np.concatenate([np.zeros(0), *those]) for name, those in parts.items()}
        self._keys = {name: np.concatenate([np.zeros(0, np.uint64), *those]) for name, those in keys.items()}
        self._start = 0

    def take(self, keys: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Return the next scores, which must be those of `keys`; NaN for what has none."""
        start, self._start = self._start, self._start + len(keys)
        wanted, nothing = _short(keys), np.full(len(keys), np.nan)
        found = {}
        for name, values in self._values.items():
            if not len(values):
                found[name] = nothing
            elif np.array_equal(self._keys[name][start : self._start], wanted):
                found[name] = values[start : self._start]
            else:
                again = score_command(self._run, read_summary(self._run))
                raise BakeoffError(f"{self._run.name}: went on after it was scored; run `{again}` again")
        return found


def _short(keys: Iterable[str]) -> NDArray[np.uint64]:
    return np.frombuffer(bytes.fromhex("".join(key[: 2 * _KEY_BYTES] for key in keys)), np.uint64)
