"""Load and ask Hugging Face vision-language models: what the runners of all families share.

A family says which classes transformers has for it, and what its image processor did to an image.

In float32 a request's greedy answer is the same, token for token, alone and in a batch. In bfloat16 and float16 it need
not be: rounding depends on the batch. Of 32 answers of 48 tokens of a tiny model with random weights, 2 to 6 parted
from the 12th token on; a `batch_max` of 1 is the remedy.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pages import BadInputError
from turns import read_turns
from vlm_checkpoint import Checkpoint, find_checkpoint
from vlm_memory import Device, Portion, ask_in_parts
from vlm_params import group_alike, read_vlm_params, sampling_options


@dataclass(frozen=True)
class Family:
    """A kind of model.

    `classes` maps the model_type of a config.json to the names of its processor and its model in transformers.
    `describe_images(inputs, processor)` returns a dict with width, height and tokens for each image of a batch.
    `param_types` are parameters of its own, and `image_options(values, processor)` turns them into arguments of its
    image processor. `open_processor` stands in for that of vlm_processor.
    """

    classes: Mapping[str, tuple[str, str]]
    describe_images: Callable
    param_types: Mapping[str, type] = field(default_factory=dict)
    image_options: Callable = lambda values, processor: {}  # noqa: ARG005
    open_processor: Callable | None = None


@dataclass(frozen=True)
class Loaded:
    """A loaded model with all that is needed to ask it."""

    family: Family
    checkpoint: Checkpoint
    processor: Any
    model: Any
    device: Device
    portion: Portion
    info: Mapping[str, str]
    placeholders: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    """One request, read: its conversation, its images, and its parameters."""

    conversation: list
    images: list
    values: dict


def load(params, family):
    """Return the loaded model; raise CheckpointError before torch is imported where there is no checkpoint."""
    values = read_vlm_params(params, family.param_types)
    checkpoint = find_checkpoint(values["checkpoint"], values["revision"], family.classes)

    import vlm_model  # noqa: PLC0415 - torch and transformers take seconds
    import vlm_processor  # noqa: PLC0415

    open_processor = family.open_processor or vlm_processor.open_processor
    processor_class, model_class = family.classes[checkpoint.model_type]
    processor = open_processor(checkpoint, processor_class, trust_remote_code=values["trust_remote_code"])
    model = vlm_model.open_model(checkpoint, model_class, values, processor.tokenizer)
    info = {"served_model": checkpoint.name, **vlm_model.describe_model(model)}
    print(", ".join(info.values()))  # noqa: T201 - it goes to the log
    placeholders = vlm_model.find_placeholders(model, processor.tokenizer)
    return Loaded(family, checkpoint, processor, model, vlm_model.describe_device(), Portion(), info, placeholders)


def generate_batch(state, requests):
    """Return an answer for each request, in order; those with equal parameters share a batch."""
    rows = [_read_request(state, request) for request in requests]
    answers = [None] * len(rows)
    for group in group_alike(rows, lambda row: row.values):
        group_rows = [rows[index] for index in group]
        asked = ask_in_parts(lambda part: _ask(state, part), group_rows, state.device, state.portion)
        for index, (answer, size) in zip(group, asked, strict=True):
            answers[index] = _finish(answer, size, len(requests))
    return answers


def _finish(answer, size, asked):
    """Add the size of the batch where the worker's own count, all that were asked together, is not it."""
    info = {**answer["info"], "batch_size": size} if size != asked else answer["info"]
    return {**answer, "info": info}


def _read_request(state, request):
    values = read_vlm_params(request["params"], state.family.param_types)
    fixed = ("checkpoint", "revision", "dtype", "attention", "device", "trust_remote_code")
    turns = read_turns(request)
    parts = [part for _, parts in turns for part in parts]
    _refuse_placeholders(state, [part for part in parts if isinstance(part, str)])
    images = [part for part in parts if not isinstance(part, str)]
    conversation = [{"role": role, "content": [_describe(part) for part in parts]} for role, parts in turns]
    return _Row(conversation, images, {name: value for name, value in values.items() if name not in fixed})


def _describe(part):
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}


def _refuse_placeholders(state, texts):
    """Raise BadInputError where a text holds the token that stands for an image: the model would look for one more."""
    for token in state.placeholders:
        if any(token in text for text in texts):
            raise BadInputError(f"the prompt holds '{token}', which stands for an image in this model's own prompts")


def _ask(state, rows):
    """Return the answers to `rows`, whose parameters are equal, as one batch."""
    import vlm_model  # noqa: PLC0415
    from vlm_processor import write_prompts  # noqa: PLC0415

    values = rows[0].values
    options = state.family.image_options(values, state.processor)
    prompts = write_prompts(state.processor, [row.conversation for row in rows])
    images = [image for row in rows for image in row.images]
    inputs = vlm_model.prepare(state.processor, prompts, images, options)
    shown = iter(state.family.describe_images(inputs, state.processor) if images else [])
    seed = values["seed"] if values["seed"] >= 0 else random.getrandbits(63)
    outputs = vlm_model.generate(state.model, state.processor, inputs, sampling_options(values), seed)
    return [
        {**output, "info": {**state.info, "images": [next(shown) for _ in row.images]}}
        for row, output in zip(rows, outputs, strict=True)
    ]
