"""Open a model's weights and generate from them, a batch at a time."""

import torch
import transformers
from pages import BadInputError
from safetensors import SafetensorError
from vlm_checkpoint import CheckpointError, first_words
from vlm_device import FULL, choose_attention, choose_device, choose_dtype, describe_device, loading_options
from vlm_memory import DeviceLost, OutOfMemory


def read_config(checkpoint, *, trust_remote_code=False):
    """Return the model's configuration, as its release reads it."""
    try:
        return transformers.AutoConfig.from_pretrained(
            checkpoint.folder, local_files_only=True, trust_remote_code=trust_remote_code
        )
    except Exception as error:  # what the file holds decides where the library stumbles
        raise CheckpointError(f"the config.json of '{checkpoint.name}' cannot be used: {first_words(error)}") from error


def find_room(config):
    """Return how many tokens a request and its answer may have together, None where the configuration does not say."""
    return getattr(getattr(config, "text_config", config), "max_position_embeddings", None)


def open_model(checkpoint, class_name, values, tokenizer):
    """Return the model on its device, ready to generate by what a request says alone."""
    device = choose_device(values["device"])
    dtype = choose_dtype(values["dtype"], device)
    options = loading_options(device, dtype, choose_attention(values["attention"], device, dtype))
    try:
        model, report = getattr(transformers, class_name).from_pretrained(
            checkpoint.folder,
            local_files_only=True,
            trust_remote_code=values["trust_remote_code"],
            output_loading_info=True,
            **options,
        )
    except FULL as error:
        remedy = "pick a smaller model, or spread it over several GPUs with --param device=split"
        raise OutOfMemory(f"the weights of '{checkpoint.name}' do not fit on {device}: {remedy}") from error
    except (OSError, ImportError, ValueError, SafetensorError) as error:  # no weights, damaged ones, no such attention
        raise CheckpointError(f"'{checkpoint.name}' cannot be loaded: {first_words(error)}") from error
    except RuntimeError as error:  # weights of another shape, where they are not in the report
        if describe_device().is_lost(error):
            raise DeviceLost(f"the device is lost: {type(error).__name__}: {error}") from error
        told = " ".join(str(error).split())
        raise CheckpointError(f"'{checkpoint.name}' cannot be loaded: {first_words(told)}") from error
    _refuse_gaps(checkpoint, report)
    own = model.generation_config
    # Its other values (temperature 0.01, a penalty of 1.05 ...) would be mixed with the request's, unseen.
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=own.bos_token_id,
        eos_token_id=tokenizer.eos_token_id if own.eos_token_id is None else own.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model.eval()


def _refuse_gaps(checkpoint, report):
    """Raise CheckpointError where weights were not in the checkpoint, or not of their shape: they are random now."""
    for key, words in (
        ("missing_keys", "it has no weights for"),
        ("mismatched_keys", "its weights are of another shape for"),
    ):
        names = sorted(name if isinstance(name, str) else name[0] for name in report[key])  # with their shapes
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise CheckpointError(f"'{checkpoint.name}' cannot be loaded: {words} {names[0]}{more}")


def describe_model(model):
    """Return device, dtype and attention as they are, not as they were asked for."""
    attention = getattr(model.config, "_attn_implementation", None) or "unknown"
    return {"device": str(model.device), "dtype": str(model.dtype).removeprefix("torch."), "attention": attention}


def find_placeholders(model, tokenizer):
    """Return the tokens, as text, that stand for images and videos in the model's prompts."""
    names = ("image_token_id", "image_token_index", "video_token_id", "video_token_index")  # releases differ
    ids = {getattr(model.config, name, None) for name in names} - {None}
    return tuple(tokenizer.convert_ids_to_tokens(sorted(ids)))


def prepare(processor, prompts, images, image_options):
    """Return the tensors for a batch of prompts; `images` are those of all prompts, in order."""
    options = {"images_kwargs": image_options} if image_options and images else {}
    try:
        return processor(text=prompts, images=images or None, padding=True, return_tensors="pt", **options)
    except ValueError as error:  # too thin to be cut into patches, for one
        raise BadInputError(f"the images cannot be prepared for this model: {error}") from error


def generate(model, processor, inputs, options):
    """Return text, stop_reason, input_tokens and output_tokens for each row of `inputs`; padding is not counted.

    `options` are arguments of transformers' `generate`, which takes the largest logit in each step.
    """
    asked = inputs["attention_mask"].sum(dim=1).tolist()
    with torch.inference_mode():
        moved = inputs.to(model.device, dtype=model.dtype)  # whole numbers keep theirs
        sequences = model.generate(**moved, do_sample=False, **options)
    rows = sequences[:, inputs["input_ids"].shape[1] :].tolist()
    ends = _end_tokens(model)
    return [
        {**_read_row(row, ends, processor.tokenizer, options["max_new_tokens"]), "input_tokens": count}
        for row, count in zip(rows, asked, strict=True)
    ]


def _end_tokens(model):
    ends = model.generation_config.eos_token_id
    return set(ends if isinstance(ends, list) else [ends])


def _read_row(row, ends, tokenizer, most):
    """Return what one row says up to its first end token, which counts as a token but is not shown."""
    end = next((index for index, token in enumerate(row) if token in ends), None)
    tokens = row if end is None else row[:end]
    text = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    if end is not None:
        return {"text": text, "stop_reason": "stop", "output_tokens": end + 1}
    return {"text": text, "stop_reason": "max_tokens" if len(row) >= most else "unknown", "output_tokens": len(row)}
