"""LLaVA-1.5 and LLaVA-NeXT by a transformers of their day, on a CPU or a GPU."""

import vlm
from params import require

FITS = ("crop", "pad")


def image_options(values, processor):  # noqa: ARG001
    """Return how a page is made square for LLaVA-1.5; LLaVA-NeXT is shown all of it anyhow."""
    require(values["fit"] in FITS, f"fit = '{values['fit']}': expected one of {', '.join(FITS)}")
    return {"fit": values["fit"]}


def open_processor(checkpoint, class_name, **options):
    from llava_tokenizer import open_processor  # noqa: PLC0415 - torch is imported once there is a checkpoint

    return open_processor(checkpoint, class_name, **options)


def adapt_processor(processor, config, checkpoint):
    from llava_processor import expand_processor  # noqa: PLC0415

    return expand_processor(processor, config, checkpoint)


def adapt_model(model):
    from llava_model import EmbeddedModel  # noqa: PLC0415

    return EmbeddedModel(model)


FAMILY = vlm.Family(
    classes={
        "llava": ("LlavaProcessor", "LlavaForConditionalGeneration"),
        "llava_next": ("LlavaNextProcessor", "LlavaNextForConditionalGeneration"),
    },
    describe_images=lambda inputs, processor: processor.describe_images(inputs),
    param_types={"fit": str},
    image_options=image_options,
    open_processor=open_processor,
    adapt_processor=adapt_processor,
    adapt_model=adapt_model,
)
generate_batch = vlm.generate_batch


def load(params):
    return vlm.load(params, FAMILY)
