"""Load and ask Hugging Face vision-language models: what the runners of all families share.

A family says which classes transformers has for it, and what its image processor did to an image.

In float32 a request's greedy answer is the same, token for token, alone and in a batch. In bfloat16 and float16 it need
not be: rounding depends on the batch. Of 32 answers of 48 tokens of a tiny model with random weights, 2 to 6 parted
from the 12th token on; a `batch_max` of 1 is the remedy. So it is with sampling under a seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pages import BadInputError, UnreachableError
from params import BadParamsError
from turns import read_turns
from vlm_checkpoint import Checkpoint, find_checkpoint
from vlm_memory import Device, Portion, ask_in_parts
from vlm_params import generation_options, group_alike, read_vlm_params


@dataclass(frozen=True)
class Family:
    """A kind of model.

    `classes` maps the model_type of a config.json to the names of its processor and its model in transformers.
    `describe_images(inputs, processor)` returns a dict with width, height and tokens for each image of a batch.
    `param_types` are parameters of its own, and `image_options(values, processor)` turns them into arguments of its
    image processor. `open_processor` stands in for that of vlm_processor, `adapt_processor(processor, config,
    checkpoint)` and `adapt_model(model)` put something of the family's own round what was opened.
    """

    classes: Mapping[str, tuple[str, str]]
    describe_images: Callable
    param_types: Mapping[str, type] = field(default_factory=dict)
    image_options: Callable = lambda values, processor: {}  # noqa: ARG005
    open_processor: Callable | None = None
    adapt_processor: Callable = lambda processor, config, checkpoint: processor  # noqa: ARG005
    adapt_model: Callable = lambda model: model


@dataclass(frozen=True)
class Loaded:
    """A loaded model with all that is needed to ask it; `room` is for the tokens of a request and its answer."""

    family: Family
    checkpoint: Checkpoint
    processor: Any
    model: Any
    device: Device
    portion: Portion
    info: Mapping[str, str]
    placeholders: tuple[str, ...]
    room: int | None


@dataclass(frozen=True)
class _Row:
    """One request, read: its prompt as the model is to see it, its images, its parameters, and which repeat it is."""

    prompt: str
    images: list
    values: dict
    repeat: int


def load(params, family):
    """Return the loaded model; raise CheckpointError before torch is imported where there is no checkpoint.

    What can be known to fail for every request fails here, before the weights are read.
    """
    values = read_vlm_params(params, family.param_types)
    checkpoint = find_checkpoint(values["checkpoint"], values["revision"], family.classes)

    import vlm_device  # noqa: PLC0415 - torch and transformers take seconds
    import vlm_model  # noqa: PLC0415
    import vlm_processor  # noqa: PLC0415

    open_processor = family.open_processor or vlm_processor.open_processor
    processor_class, model_class = family.classes[checkpoint.model_type]
    own = open_processor(checkpoint, processor_class, trust_remote_code=values["trust_remote_code"])
    config = vlm_model.read_config(checkpoint, trust_remote_code=values["trust_remote_code"])
    processor = family.adapt_processor(own, config, checkpoint)
    family.image_options(values, processor)
    vlm_processor.try_template(processor)
    model = vlm_model.open_model(checkpoint, model_class, values, processor.tokenizer)
    info = {"served_model": checkpoint.name, **vlm_model.describe_model(model)}
    print(", ".join(info.values()))  # noqa: T201 - it goes to the log
    return Loaded(
        family=family,
        checkpoint=checkpoint,
        processor=processor,
        model=family.adapt_model(model),
        device=vlm_device.describe_device(),
        portion=Portion(),
        info=info,
        placeholders=vlm_model.find_placeholders(model, processor.tokenizer),
        room=vlm_model.find_room(config),
    )


def generate_batch(state, requests):
    """Return an answer for each request, in order, or the exception that stands for it.

    Requests with equal parameters share a batch; one that cannot be asked is set aside, and costs the others nothing.
    """
    rows = [_attempt(_read_request, state, request) for request in requests]
    answers = list(rows)
    good = [index for index, row in enumerate(rows) if isinstance(row, _Row)]
    for group in group_alike(good, lambda index: rows[index].values):
        chosen = [good[index] for index in group]
        asked = ask_in_parts(
            lambda part: _ask(state, part), [rows[index] for index in chosen], state.device, state.portion
        )
        for index, (answer, times_full) in zip(chosen, asked, strict=True):
            answers[index] = _finish(answer, times_full, len(requests))
    return answers


def _attempt(act, *arguments):
    """Return what `act` gives, or the exception of a request that cannot be asked."""
    try:
        return act(*arguments)
    except (BadInputError, BadParamsError, UnreachableError) as error:
        return error


def _finish(answer, times_full, together):
    """Return the answer with how often its batch was too large; its size where it is not what the worker counts."""
    if isinstance(answer, Exception):
        return answer
    info = dict(answer["info"])
    if info["batch_size"] == together:
        del info["batch_size"]
    if times_full:
        info["out_of_memory"] = times_full
    return {**answer, "info": info}


def _read_request(state, request):
    from vlm_processor import write_prompts  # noqa: PLC0415

    values = read_vlm_params(request["params"], state.family.param_types)
    state.family.image_options(values, state.processor)
    fixed = ("checkpoint", "revision", "dtype", "attention", "device", "trust_remote_code")
    turns = read_turns(request)
    parts = [part for _, parts in turns for part in parts]
    _refuse_placeholders(state, [part for part in parts if isinstance(part, str)])
    images = [part for part in parts if not isinstance(part, str)]
    conversation = [{"role": role, "content": [_describe(part) for part in parts]} for role, parts in turns]
    (prompt,) = write_prompts(state.processor, [conversation])
    asked = {name: value for name, value in values.items() if name not in fixed}
    return _Row(prompt, images, asked, request.get("repeat", 1))


def _describe(part):
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}


def _refuse_placeholders(state, texts):
    """Raise BadInputError where a text holds the token that stands for an image: the model would look for one more."""
    for token in state.placeholders:
        if any(token in text for text in texts):
            raise BadInputError(f"the prompt holds '{token}', which stands for an image in this model's own prompts")


def _ask(state, rows):
    """Return the answers to `rows`, whose parameters are equal, as one batch; BadInputError for those set aside."""
    try:
        inputs = _prepare(state, rows)
    except BadInputError as error:
        return [error] if len(rows) == 1 else _ask_without(state, rows, [_find_problem(state, row) for row in rows])
    counts = inputs["attention_mask"].sum(dim=1).tolist()
    problems = [_find_excess(state, rows[0].values, count) for count in counts]
    return _ask_without(state, rows, problems) if any(problems) else _generate(state, rows, inputs)


def _ask_without(state, rows, problems):
    """Return the answers to those `rows` that have no problem, as one batch, and the problems of the others."""
    if not any(problems):  # alone each can be prepared, together they cannot
        return [answer for row in rows for answer in _ask(state, [row])]
    fit = [row for row, problem in zip(rows, problems, strict=True) if problem is None]
    answers = iter(_ask(state, fit) if fit else [])
    return [problem or next(answers) for problem in problems]


def _find_problem(state, row):
    """Return the BadInputError of one row, which the processor does not lay to any; None where it can be asked."""
    prepared = _attempt(_prepare, state, [row])
    return prepared if isinstance(prepared, Exception) else None


def _prepare(state, rows):
    import vlm_model  # noqa: PLC0415

    options = state.family.image_options(rows[0].values, state.processor)
    images = [image for row in rows for image in row.images]
    return vlm_model.prepare(state.processor, [row.prompt for row in rows], images, options)


def _find_excess(state, values, count):
    """Return BadInputError where a request of `count` tokens and its answer are more than the model was made for."""
    most = values["max_new_tokens"]
    if state.room is None or count + most <= state.room:
        return None
    return BadInputError(
        f"the request is {count} tokens, and with up to {most} (max_new_tokens) of an answer more than the "
        f"{state.room} that the model has room for: ask with fewer images, smaller ones, or a shorter prompt"
    )


def _generate(state, rows, inputs):
    import vlm_model  # noqa: PLC0415
    import vlm_sampling  # noqa: PLC0415

    values, options, noted = rows[0].values, generation_options(rows[0].values), [{} for _ in rows]
    if values["temperature"] > 0:
        seeds = [vlm_sampling.choose_seed(values["seed"]) for _ in rows]
        noted = [{"seed": seed} for seed in seeds]
        mixed = [
            vlm_sampling.mix_seed(seed, row.repeat, row.prompt, row.images)
            for seed, row in zip(seeds, rows, strict=True)
        ]
        sampling = {name: values[name] for name in ("temperature", "top_p", "top_k")}
        options["logits_processor"] = [vlm_sampling.draw_rows(mixed, **sampling)]
    has_images = any(row.images for row in rows)
    shown = iter(state.family.describe_images(inputs, state.processor) if has_images else [])
    outputs = vlm_model.generate(state.model, state.processor, inputs, options)
    return [
        {
            **output,
            "info": {**state.info, **seed, "batch_size": len(rows), "images": [next(shown) for _ in row.images]},
        }
        for row, seed, output in zip(rows, noted, outputs, strict=True)
    ]
