"""Ask any model that vLLM knows, offline: all requests of a call go into its continuous batching together.

The engine runs in a process of its own, so that it computes while further images are being prepared here.
"""

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from pages import BadInputError, UnreachableError
from params import BadParamsError
from turns import read_turns
from vllm_params import engine_options, read_vllm_params, sampling_options
from vlm_checkpoint import CheckpointError, find_checkpoint
from vlm_memory import DeviceLost

_STOP_REASONS = {"stop": "stop", "length": "max_tokens"}
_SIZES_KEPT = 4096


class EngineError(RuntimeError):
    """vLLM gave a request up."""

    kind = "bug"


@dataclass(frozen=True)
class Loaded:
    """An engine and what is known of it.

    `info` goes with every answer, `placeholders` are the tokens, as text, that stand for images in the model's prompts,
    and `sizes` those of images that it was shown, by vLLM's hash of them.
    """

    llm: Any
    info: dict
    placeholders: tuple
    sizes: OrderedDict = field(default_factory=OrderedDict)


def load(params):
    """Return the engine with the model loaded; raise CheckpointError before vLLM is imported where there is none."""
    values = read_vllm_params(params)
    any_type = None  # vLLM itself says which it knows
    checkpoint = find_checkpoint(values["checkpoint"], values["revision"], any_type)
    os.environ["VLLM_NO_USAGE_STATS"] = "1"
    import vllm  # noqa: PLC0415 - it takes many seconds

    try:
        llm = vllm.LLM(model=checkpoint.folder, **engine_options(values))
    except (TypeError, ValueError) as error:  # no such argument, no such architecture, too little memory for the cache
        raise CheckpointError(f"vLLM cannot load '{checkpoint.name}': {_sentence(error)}") from error
    if "generate" not in llm.supported_tasks:
        raise CheckpointError(f"vLLM knows '{checkpoint.name}' as no model that generates text")
    dtype = str(llm.model_config.dtype).removeprefix("torch.")
    return Loaded(llm, {"served_model": checkpoint.name, "dtype": dtype}, _find_placeholders(llm))


def _find_placeholders(llm):
    names = ("image_token_id", "image_token_index", "video_token_id", "video_token_index")
    ids = {getattr(llm.model_config.hf_config, name, None) for name in names} - {None}
    return tuple(llm.get_tokenizer().decode([token]) for token in sorted(ids))


def generate_batch(state, requests):
    """Return an answer for each request, in order, or the exception that stands for it."""
    from vllm.v1.engine.exceptions import EngineDeadError  # noqa: PLC0415

    try:
        shown = _begin_all(state, requests)
        outputs = iter(state.llm.wait_for_completion(use_tqdm=False))
    except EngineDeadError as error:
        raise DeviceLost("vLLM's engine died; the log has its last words") from error
    return [images if isinstance(images, Exception) else _read(next(outputs), state.info, images) for images in shown]


def _begin_all(state, requests):
    """Hand the requests to the engine; return of each what is known of its images, or why it cannot be asked."""
    begun, shown = [], []
    try:
        for request in requests:
            try:
                identity, images = _begin(state, request)
            except (BadInputError, BadParamsError, UnreachableError) as error:
                shown.append(error)
            else:
                begun.append(identity)
                shown.append(images)
    except Exception:
        state.llm.llm_engine.abort_request(begun, internal=True)
        raise
    return shown


def _begin(state, request):
    from vllm import SamplingParams  # noqa: PLC0415
    from vllm.exceptions import VLLMClientError  # noqa: PLC0415
    from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

    values = read_vllm_params(request["params"])
    drawn = sampling_options(values, request.get("repeat", 1))
    sampling = SamplingParams(**drawn, output_kind=RequestOutputKind.FINAL_ONLY)
    conversation = _converse(request, state.placeholders)
    try:
        # What `LLM.enqueue_chat` does, in two steps: in between it is known what became of the images.
        prompt = state.llm._preprocess_chat_one(  # noqa: SLF001
            conversation, mm_processor_kwargs=values["mm_processor_kwargs"] or None
        )
        identity = state.llm.llm_engine.add_request(str(next(state.llm.request_counter)), prompt, sampling)
    except (VLLMClientError, ValueError) as error:  # too long a prompt, too many images, too thin a one
        raise BadInputError(f"vLLM takes no such request: {_sentence(error)}") from error
    return identity, _describe_images(prompt, state)


def _converse(request, placeholders):
    """Return the turns of `request` as vLLM takes them, the system's as a plain string."""
    conversation = []
    for role, parts in read_turns(request):
        _refuse_placeholders([part for part in parts if isinstance(part, str)], placeholders)
        content = parts[0] if role == "system" else [_describe(part) for part in parts]
        conversation.append({"role": role, "content": content})
    return conversation


def _describe(part):
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image_pil", "image_pil": part}


def _refuse_placeholders(texts, placeholders):
    """Raise BadInputError where a text holds a token that stands for an image: vLLM would take it for one."""
    for token in placeholders:
        if any(token in text for text in texts):
            raise BadInputError(f"the prompt holds '{token}', which stands for an image in this model's own prompts")


def _describe_images(prompt, state):
    """Return the tokens of each image, and its size where the processor cut it into a grid of patches.

    The processor's results are kept by vLLM, which does not show them again for an image it has seen.
    """
    places = prompt.get("mm_placeholders", {}).get("image", ())
    if not places:
        return []
    vision = getattr(state.llm.model_config.hf_config, "vision_config", None)
    for digest, item in zip(prompt["mm_hashes"]["image"], prompt["mm_kwargs"]["image"], strict=True):
        if item is not None:
            state.sizes[digest] = _read_size(item, getattr(vision, "patch_size", None))
            state.sizes.move_to_end(digest)
    sizes = [state.sizes.get(digest, (None, None)) for digest in prompt["mm_hashes"]["image"]]
    while len(state.sizes) > _SIZES_KEPT:
        state.sizes.popitem(last=False)
    return [
        {"width": width, "height": height, "tokens": int(place.get_num_embeds())}
        for (width, height), place in zip(sizes, places, strict=True)
    ]


def _read_size(item, patch):
    """Return width and height in pixels, None where the item has no grid."""
    if "image_grid_thw" not in item or not isinstance(patch, int):
        return None, None
    _, height, width = item["image_grid_thw"].data.flatten().tolist()
    return width * patch, height * patch


def _read(output, info, images):
    (completion,) = output.outputs
    if completion.finish_reason in ("abort", "error"):
        return EngineError(f"vLLM gave the request up: {completion.finish_reason}")
    return {
        "text": completion.text,
        "stop_reason": _STOP_REASONS.get(completion.finish_reason, "unknown"),
        "input_tokens": len(output.prompt_token_ids),
        "output_tokens": len(completion.token_ids),
        "info": {**info, "images": images},
    }


def _sentence(error):
    """Return the first line that holds words of what lies behind an error of vLLM's; pydantic's begins with a count."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[2] if "validation error" in lines[0] and len(lines) > 2 else lines[0]
