"""Prepare prompts and images for LLaVA: squares of a page, and a placeholder for each visual token."""

import re
from dataclasses import dataclass
from typing import Any

import torch
from llava_chat import choose_template
from PIL import Image
from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape, unpad_image
from vlm_checkpoint import CheckpointError

RATIO_MAX = 200  # a line of pixels becomes gigabytes when its short side is stretched


class TemplateError(RuntimeError):
    """A chat template that leaves images out; no ValueError, which would be laid to the images."""

    kind = "bad_params"


@dataclass(frozen=True)
class ExpandingProcessor:
    """A processor that writes a placeholder for each visual token, where 4.44's own writes one for each image.

    So the tokenizer pads what the model will see, and the attention mask counts it.
    """

    inner: Any
    config: Any
    image_token: str

    def __getattr__(self, name):
        """Return what the processor itself has."""
        return getattr(self.inner, name)

    def __call__(self, *, text, images=None, padding, return_tensors, images_kwargs=None):
        """Return tokens, attention mask, pixels, and the images' sizes before resizing as (height, width)."""
        if not images:
            return self.inner(text=text, padding=padding, return_tensors=return_tensors)
        if max(max(image.size) / min(image.size) for image in images) > RATIO_MAX:
            raise ValueError(f"an image has one side more than {RATIO_MAX} times as long as the other")
        if not self._is_tiled and (images_kwargs or {}).get("fit") == "pad":
            images = [_pad(image, self.inner.image_processor.image_mean) for image in images]
        sizes = [(image.height, image.width) for image in images]
        expanded = self._expand(text, [self._measure(size)["tokens"] for size in sizes])
        inputs = self.inner(text=expanded, images=images, padding=padding, return_tensors=return_tensors)
        inputs["image_sizes"] = torch.tensor(sizes)
        return inputs

    def describe_images(self, inputs):
        """Return width, height and tokens of each image, and for a cropped one the share of it that was `kept`."""
        return [self._measure(size) for size in inputs["image_sizes"].tolist()]

    @property
    def _is_tiled(self):
        return hasattr(self.config, "image_grid_pinpoints")

    def _expand(self, prompts, counts):
        """Return the prompts with each placeholder repeated as often as its image has visual tokens."""
        written = sum(prompt.count(self.image_token) for prompt in prompts)
        if written != len(counts):
            raise TemplateError(f"the chat template writes {written} places for {len(counts)} images")
        left, token = iter(counts), re.compile(re.escape(self.image_token))
        return [token.sub(lambda found: found[0] * next(left), prompt) for prompt in prompts]

    def _measure(self, size):
        """Return what becomes of an image of `size`, (height, width)."""
        vision = self.config.vision_config
        side, patch = vision.image_size, vision.patch_size
        across = side // patch
        has_class_token = vision.model_type == "clip_vision_model"
        whole = across**2 + (has_class_token and self.config.vision_feature_select_strategy == "full")
        if not self._is_tiled:
            is_cropped = getattr(self.inner.image_processor, "do_center_crop", False)
            kept = min(size) / max(size) if is_cropped else 1.0
            return {"width": side, "height": side, "tokens": whole, "kept": round(kept, 4)}
        rows, columns = get_anyres_image_grid_shape(size, self.config.image_grid_pinpoints, side)
        grid = torch.empty(1, rows * across, columns * across, device="meta")
        _, height, width = unpad_image(grid, size).shape
        return {"width": width * patch, "height": height * patch, "tokens": whole + height * (width + 1)}


def expand_processor(processor, config, checkpoint):
    """Return `processor` as an ExpandingProcessor with a chat template, the checkpoint's own if it has one."""
    processor.chat_template = choose_template(processor, config, checkpoint)
    image_token = processor.tokenizer.convert_ids_to_tokens(config.image_token_index)
    if image_token is None:
        raise CheckpointError(
            f"the tokenizer of '{checkpoint.name}' has no token {config.image_token_index} for images"
        )
    return ExpandingProcessor(processor, config, image_token)


def _pad(image, mean):
    """Return a square with the image in its middle, on the mean colour: what LLaVA-1.5 was trained on."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), tuple(int(255 * value) for value in mean))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
