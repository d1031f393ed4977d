"""Open a model's weights and generate from them, a batch at a time."""

import torch
import transformers
from vlm_checkpoint import CheckpointError
from vlm_device import choose_attention, choose_device, choose_dtype, describe_device, loading_options

__all__ = ["describe_device", "describe_model", "generate", "open_model", "prepare"]


def open_model(checkpoint, class_name, values):
    """Return the model on its device, ready to generate by what a request says alone."""
    device = choose_device(values["device"])
    dtype = choose_dtype(values["dtype"], device)
    attention = choose_attention(values["attention"], device, dtype)
    model_class = getattr(transformers, class_name)
    try:
        model = model_class.from_pretrained(
            checkpoint.folder,
            local_files_only=True,
            trust_remote_code=values["trust_remote_code"],
            **loading_options(device, dtype, attention),
        )
    except (OSError, ImportError, ValueError) as error:  # files missing, flash-attn not installed, no such attention
        raise CheckpointError(f"'{checkpoint.name}' cannot be loaded: {error}") from error
    own = model.generation_config
    # Its other values (temperature 0.01, a penalty of 1.05 ...) would be mixed with the request's, unseen.
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    return model.eval()


def describe_model(model):
    """Return device, dtype and attention as they are, not as they were asked for."""
    attention = getattr(model.config, "_attn_implementation", None) or "unknown"
    return {"device": str(model.device), "dtype": str(model.dtype).removeprefix("torch."), "attention": attention}


def prepare(processor, prompts, images, image_options):
    """Return the tensors for a batch of prompts; `images` are those of all prompts, in order."""
    options = {"images_kwargs": image_options} if image_options and images else {}
    return processor(text=prompts, images=images or None, padding=True, return_tensors="pt", **options)


def generate(model, processor, inputs, options, seed):
    """Return text, stop_reason, input_tokens and output_tokens for each row of `inputs`; padding is not counted."""
    asked = inputs["attention_mask"].sum(dim=1).tolist()
    pad = processor.tokenizer.pad_token_id
    with torch.inference_mode():
        moved = inputs.to(model.device, dtype=model.dtype)  # whole numbers keep theirs
        if options["do_sample"]:
            torch.manual_seed(seed)
        sequences = model.generate(**moved, **options, pad_token_id=pad)
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
