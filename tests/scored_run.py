"""Write run directories with answers in them, for the tests of scoring and report."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.results.expected import iter_expected
from orchestrator.results.layout import PROMPTS_NAME, SAMPLES_NAME, predictions_path
from orchestrator.results.plan import Cell, RunPlan, now, write_plan
from orchestrator.results.schema import PREDICTIONS, PROMPTS, SAMPLES
from orchestrator.scoring.summary import Figure, Summary


@dataclass(frozen=True, slots=True)
class Asked:
    """A sample and what the model made of it: texts for its repeats, or a status in angle brackets."""

    references: Sequence[str]
    answers: Sequence[str | None]
    document: str | None = None
    doc_class: str | None = None
    question_type: str | None = None


def make_run(folder: Path, asked: Sequence[Asked], *, model: str = "echo", repeats: int = 1) -> Path:
    """Write a run of one cell below `folder`; an answer of None is not there at all."""
    run = folder / "run"
    run.mkdir(exist_ok=True)
    _write_samples(run, asked)
    digest = hashlib.sha256(b"read").hexdigest()
    prompt = {"id": "read", "sha256": digest, "text": "{question}", "system": None}
    pq.write_table(pa.Table.from_pylist([prompt], PROMPTS), run / PROMPTS_NAME)
    cell = make_cell(model, digest, repeats)
    write_plan(run, make_plan(len(asked), [cell]))
    expected = [row for batch in iter_expected(run, cell) for row in batch]
    answers = [answer for one in asked for answer in one.answers]
    rows = [
        prediction(row.key, row.sample_id, row.repeat, answer, model)
        for row, answer in zip(expected, answers, strict=True)
        if answer is not None
    ]
    write_predictions(run, model, rows)
    return run


def make_cell(model: str, prompt_sha256: str, repeats: int = 1) -> Cell:
    return Cell(
        model=model,
        runner=model,
        runner_digest="0" * 64,
        params={},
        overrides={},
        prompt="read",
        prompt_sha256=prompt_sha256,
        repeats=repeats,
    )


def make_plan(samples: int, cells: Sequence[Cell]) -> RunPlan:
    return RunPlan(
        name="run",
        created=now(),
        updated=now(),
        bakeoff_version="0",
        git_commit=None,
        dataset="toy",
        dataset_path="toy",
        samples=samples,
        cells=tuple(cells),
        envs={},
    )


def prediction(key: str, sample_id: str, repeat: int, answer: str, model: str) -> dict[str, object]:
    """Return a row of PREDICTIONS; `answer` is a text, or a status in angle brackets."""
    status = answer[1:-1] if answer.startswith("<") else "ok"
    text = answer if status == "ok" else "I cannot help with that" if status == "refused" else None
    row = dict.fromkeys(PREDICTIONS.names)
    own = {
        "key": key,
        "sample_id": sample_id,
        "repeat": repeat,
        "model": model,
        "status": status,
        "text": text,
    }
    return {**row, **own, "prompt_id": "read", "latency_s": 0.5, "time": now()}


def write_predictions(run: Path, model: str, rows: list[dict[str, object]]) -> None:
    path = predictions_path(run, model)
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, PREDICTIONS), path)


def _write_samples(run: Path, asked: Sequence[Asked]) -> None:
    rows = [
        {
            "id": f"s{number}",
            "images": [{"path": f"/data/{one.document}.png", "sha256": one.document}] if one.document else [],
            "question": f"question {number}",
            "references": list(one.references),
            "doc_class": one.doc_class,
            "question_type": one.question_type,
        }
        for number, one in enumerate(asked)
    ]
    pq.write_table(pa.Table.from_pylist(rows, SAMPLES), run / SAMPLES_NAME)


def by_metric(summary: Summary) -> dict[str, Figure]:
    """Return the figures of a summary of one cell over all its answers."""
    return {figure.metric: figure for figure in summary.figures if figure.group == "all"}
