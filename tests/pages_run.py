"""Write runs of several models and prompts with images, for the tests of pages."""

import hashlib
import itertools
from pathlib import Path

import pyarrow as pa
from PIL import Image, ImageDraw

from orchestrator.results.expected import iter_expected
from orchestrator.results.layout import PROMPTS_NAME, SAMPLES_NAME, predictions_path
from orchestrator.results.parquet import write_table
from orchestrator.results.plan import write_plan
from orchestrator.results.schema import PREDICTIONS, PROMPTS, SAMPLES
from tests.scored_run import make_cell, make_plan, prediction

ROWS_A_BATCH = 4096


def make_image(path, text="86.00", size=(300, 400)):
    """Write an image with `text`, and return it as samples name images."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((40, 60), text, fill="black", font_size=40)
    path.parent.mkdir(exist_ok=True, parents=True)
    image.save(path)
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def sample(number, **more):
    """Return a row of SAMPLES."""
    row = {"id": f"s{number}", "images": [], "question": f"question {number}", "references": [f"answer {number}"]}
    return {**dict.fromkeys(SAMPLES.names), **row, **more}


def make_pages_run(folder, samples, answer, *, models=("echo",), prompts=("read",), repeats=1, name="run", count=None):
    """Write a run of all models and prompts; `answer(sample, model, prompt, repeat)` is a text, a `<status>` or None.

    A returned mapping holds columns of a prediction besides `text`.
    """
    run = Path(folder) / name
    run.mkdir(parents=True)
    samples = list(samples) if count is None else samples
    _write(run / SAMPLES_NAME, SAMPLES, samples() if callable(samples) else samples)
    texts = {prompt: f"{prompt}: {{question}}" for prompt in prompts}
    rows = [
        {"id": prompt, "sha256": hashlib.sha256(text.encode()).hexdigest(), "text": text}
        for prompt, text in texts.items()
    ]
    _write(run / PROMPTS_NAME, PROMPTS, [{**dict.fromkeys(PROMPTS.names), **row} for row in rows])
    cells = [
        make_cell(model, row["sha256"], repeats).model_copy(update={"prompt": row["id"]})
        for model in models
        for row in rows
    ]
    plan = make_plan(count or len(samples), cells).model_copy(update={"name": name})
    write_plan(run, plan)
    for model in models:
        path = predictions_path(run, model)
        path.parent.mkdir(exist_ok=True, parents=True)
        of_model = [cell for cell in cells if cell.model == model]
        _write(path, PREDICTIONS, _predictions(run, of_model, answer))
    return run


def _predictions(run, cells, answer):
    for cell in cells:
        for row in itertools.chain.from_iterable(iter_expected(run, cell)):
            said = answer(row.sample_id, cell.model, cell.prompt, row.repeat)
            if said is None:
                continue
            more = said if isinstance(said, dict) else {}
            text = more.get("text", "") if more else said
            made = prediction(row.key, row.sample_id, row.repeat, text, cell.model)
            yield {**made, "prompt_id": cell.prompt, **more}


def _write(path, schema, rows):
    rows = iter(rows)
    batches = iter(lambda: list(itertools.islice(rows, ROWS_A_BATCH)), [])
    write_table(path, schema, (pa.RecordBatch.from_pylist(batch, schema) for batch in batches))
