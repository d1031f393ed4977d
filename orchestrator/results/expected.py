"""Which answers a run should hold: the keys of its plan, computed from its own files alone."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import pyarrow as pa

from orchestrator.errors import BakeoffError
from orchestrator.identity import key_prefix, request_key
from orchestrator.prompt import Asked, Image, Kind, Prompt, ask, identify, images_of
from orchestrator.results.layout import PROMPTS_NAME, SAMPLES_NAME
from orchestrator.results.parquet import ParquetReader, read_rows
from orchestrator.results.plan import Cell
from orchestrator.results.schema import PROMPTS, SAMPLES

SAMPLES_A_BATCH = 4096


class Expected(NamedTuple):
    """One answer that a cell should have. `defect` says why the sample cannot be asked.

    `images` are the sample's; `messages` the turns of a chat as they are sent, with all images in their places.
    """

    key: str
    sample_id: str
    repeat: int
    prompt: str
    images: tuple[Image, ...]
    defect: str | None
    doc_class: str | None
    question_type: str | None
    document: str | None
    references: tuple[str, ...]
    answer_bbox: tuple[float, ...] = ()
    metadata: str | None = None
    question: str = ""
    messages: list[dict[str, Any]] | None = None

    @property
    def sent_images(self) -> tuple[Image, ...]:
        """All images that the model is shown, in order."""
        return self.images if self.messages is None else images_of(self.messages)


class _Sample(NamedTuple):
    id: str
    question: str
    images: tuple[Image, ...]
    defect: str | None
    doc_class: str | None
    question_type: str | None
    document: str | None
    references: tuple[str, ...] = ()
    answer_bbox: tuple[float, ...] = ()
    metadata: str | None = None


_ASKED = ("id", "question", "images", "defect", "doc_class", "question_type", "document")


def iter_expected(
    run: Path, cell: Cell, *, with_references: bool = True, with_rest: bool = False
) -> Iterator[list[Expected]]:
    """Yield the answers expected of `cell` in the order of the samples, repeats innermost, some thousand at a time.

    Without references they are empty, which is enough for asking and quicker; so are box and metadata without the rest.
    """
    columns: tuple[str, ...] = (*_ASKED, "references") if with_references or with_rest else _ASKED
    columns += ("answer_bbox", "metadata") if with_rest else ()
    for samples, all_asked, make_key in _iter_requests(run, cell, columns):
        yield [
            _expect(sample, asked, make_key(sample, asked, repeat), repeat)
            for sample, asked in zip(samples, all_asked, strict=True)
            for repeat in range(1, cell.repeats + 1)
        ]


def iter_keys(run: Path, cell: Cell) -> Iterator[list[str]]:
    """Yield the keys of the answers expected of `cell`, in the order of `iter_expected`."""
    for samples, all_asked, make_key in _iter_requests(run, cell, _ASKED):
        yield [
            make_key(sample, asked, repeat)
            for sample, asked in zip(samples, all_asked, strict=True)
            for repeat in range(1, cell.repeats + 1)
        ]


def read_prompt(run: Path, cell: Cell) -> Prompt:
    """Return the prompt of `cell` as the run recorded it."""
    for row in read_rows(run / PROMPTS_NAME, PROMPTS):
        if row["sha256"] == cell.prompt_sha256:
            images = tuple(Image(**image) for image in row["images"] or ())
            kind: Kind = row["kind"] or "text"
            return Prompt(cell.prompt, row["text"], row["system"], row["sha256"], kind=kind, images=images)
    raise BakeoffError(f"{run / PROMPTS_NAME}: lacks prompt '{cell.prompt}'; the run directory is damaged")


def _iter_requests(
    run: Path, cell: Cell, columns: Sequence[str]
) -> Iterator[tuple[list[_Sample], list[Asked], Callable[[_Sample, Asked, int], str]]]:
    """Yield samples with what each is asked, and what makes the key of one of them.

    A runner that ignores the prompt gets the flat text of a chat and the sample's images, none of the examples.
    """
    prompt = read_prompt(run, cell)
    is_heard = not cell.ignores_prompt
    prefix = key_prefix(cell.model, cell.runner_digest, cell.key_params, prompt.system if is_heard else None)

    def make_key(sample: _Sample, asked: Asked, repeat: int) -> str:
        said = asked.text if asked.messages is None else identify(asked.messages)
        return request_key(
            prefix, said if is_heard else "", [image.sha256 or image.path for image in sample.images], repeat
        )

    for samples in _iter_samples(run, cell.limit, columns):
        asked = [
            ask(prompt, question=s.question, doc_class=s.doc_class, question_type=s.question_type, images=s.images)
            for s in samples
        ]
        yield samples, asked if is_heard else [Asked(each.text) for each in asked], make_key


def _expect(sample: _Sample, asked: Asked, key: str, repeat: int) -> Expected:
    """Put one answer that should be there together from its sample and what is asked."""
    expected = Expected(key, sample.id, repeat, asked.text, *sample[2:], sample.question, asked.messages)
    return expected if asked.defect is None or sample.defect else expected._replace(defect=asked.defect)


def _iter_samples(run: Path, limit: int | None, columns: Sequence[str]) -> Iterator[list[_Sample]]:
    left = limit
    with ParquetReader(run / SAMPLES_NAME, SAMPLES) as file:
        for whole in file.batches(columns, SAMPLES_A_BATCH):
            batch = whole if left is None else whole.slice(0, left)
            yield [_Sample(*row) for row in zip(*(_values(batch[name]) for name in columns), strict=True)]
            if left is not None:
                left -= batch.num_rows
                if left <= 0:
                    return


def _values(column: pa.Array) -> Iterable[Any]:
    """Return the Python values of `column`, lists as tuples: for these ten times as fast as `to_pylist`."""
    if column.null_count == len(column):
        return itertools.repeat(None if not pa.types.is_list(column.type) else (), len(column))
    if not pa.types.is_list(column.type):
        return cast("list[Any]", column.to_pylist())
    if pa.types.is_struct(column.type.value_type):
        items: list[Any] = [Image(**image) for image in column.flatten().to_pylist()]
    else:
        items = column.flatten().to_pylist()
    lengths = column.value_lengths().fill_null(0).to_pylist()
    ends = list(itertools.accumulate(lengths))
    return [tuple(items[end - length : end]) for end, length in zip(ends, lengths, strict=True)]
