"""Freeze what a run asks: its samples, with the digests of their images, and its prompts."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from orchestrator.datasets import Dataset, Sample
from orchestrator.datasets.fence import Outside, make_fence
from orchestrator.files import replacing
from orchestrator.images import DigestCache, Probe
from orchestrator.prompt import Prompt
from orchestrator.results.layout import PROMPTS_NAME, SAMPLES_NAME
from orchestrator.results.parquet import read_rows, write_table
from orchestrator.results.schema import PROMPTS, SAMPLES

_SAMPLES_A_BATCH = 4096


def write_samples(
    run: Path,
    dataset: Dataset,
    limit: int | None,
    cache: DigestCache,
    image_folders: Sequence[Path] = (),
    *,
    notify: Callable[[str], None] | None = None,
) -> int:
    """Replace the run's samples by the first `limit` of `dataset` (None: all); return how many those are.

    Images are digested, which `cache` makes cheap the second time. A sample whose image is missing, unreadable, or
    neither in the dataset's folder nor in one of `image_folders` is kept with a `defect`; the last is not even opened,
    and `notify` gets one sentence about all such images. Samples are streamed: memory does not grow with them.
    """
    outside = Outside()
    refuse = make_fence(dataset.folder, image_folders, outside)

    def look(image: Path) -> Probe:
        sentence = refuse(image)
        return Probe(None, None, None, sentence) if sentence else cache.probe(image)

    with replacing(run / SAMPLES_NAME) as temporary:
        count = write_table(temporary, SAMPLES, _batches(islice(dataset, limit), look))
    if notify is not None and (sentence := outside.describe(image_folders)):
        notify(sentence)
    return count


def write_prompts(run: Path, prompts: Sequence[Prompt]) -> None:
    """Add `prompts` to those the run knows; a text once recorded stays, edited or not."""
    path = run / PROMPTS_NAME
    known = read_rows(path, PROMPTS) if path.is_file() else []
    rows = {(row["id"], row["sha256"]): row for row in known}
    for prompt in prompts:
        rows[prompt.id, prompt.sha256] = {
            "id": prompt.id,
            "sha256": prompt.sha256,
            "text": prompt.text,
            "system": prompt.system,
            "kind": None if prompt.kind == "text" else prompt.kind,
            "images": [image._asdict() for image in prompt.images] or None,
        }
    if list(rows.values()) != known:
        with replacing(path) as temporary:
            write_table(temporary, PROMPTS, iter([pa.RecordBatch.from_pylist(list(rows.values()), PROMPTS)]))


def _batches(samples: Iterator[Sample], look: Callable[[Path], Probe]) -> Iterator[pa.RecordBatch]:
    while rows := list(islice(samples, _SAMPLES_A_BATCH)):
        probes = [[look(path) for path in sample.images] for sample in rows]
        columns = {
            "id": [sample.id for sample in rows],
            "images": [_images(sample, seen) for sample, seen in zip(rows, probes, strict=True)],
            "question": [sample.question for sample in rows],
            "references": [sample.references for sample in rows],
            "doc_class": [sample.doc_class for sample in rows],
            "question_type": [sample.question_type for sample in rows],
            "answer_bbox": [sample.answer_bbox for sample in rows],
            "document": [sample.document for sample in rows],
            "metadata": [_dumps(sample.metadata) if sample.metadata else None for sample in rows],
            "defect": [next((probe.defect for probe in seen if probe.defect), None) for seen in probes],
        }
        yield pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in SAMPLES], schema=SAMPLES)


def _images(sample: Sample, probes: Sequence[Probe]) -> list[dict[str, str]]:
    return [{"path": str(path), "sha256": seen.sha256 or ""} for path, seen in zip(sample.images, probes, strict=True)]


_dumps = json.JSONEncoder(ensure_ascii=False).encode
