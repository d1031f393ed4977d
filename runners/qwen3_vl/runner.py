"""Qwen3-VL by Hugging Face transformers, on a CPU or a GPU."""

import vlm
import vlm_grid

FAMILY = vlm.Family(
    classes={"qwen3_vl": ("Qwen3VLProcessor", "Qwen3VLForConditionalGeneration")},
    describe_images=vlm_grid.describe_images,
    param_types=vlm_grid.PARAM_TYPES,
    image_options=vlm_grid.image_options,
)
generate_batch = vlm.generate_batch


def load(params):
    return vlm.load(params, FAMILY)
