"""Open a checkpoint's processor (tokenizer, image processor and chat template), with or without torchvision.

Images are processed by Pillow on every machine, whether torchvision is there or not: what a model is shown must not
depend on it.
"""

import inspect
import json
from pathlib import Path

import transformers
from vlm_checkpoint import CheckpointError


def open_processor(checkpoint, class_name, *, trust_remote_code=False):
    """Return the processor `class_name` of `checkpoint`, padding on the left."""
    processor_class = getattr(transformers, class_name)
    takes_video = "video_processor" in inspect.signature(processor_class.__init__).parameters
    options = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    if takes_video:
        processor = _open_for_images(processor_class, checkpoint.folder, options)
    else:
        processor = processor_class.from_pretrained(checkpoint.folder, **options)
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def _open_for_images(processor_class, folder, options):
    """Return a processor without its video part, which is what needs torchvision."""

    class ImageOnly(processor_class):
        def check_argument_for_proper_class(self, argument_name, argument):
            if argument_name == "video_processor" and argument is None:
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
    image_processor = transformers.AutoImageProcessor.from_pretrained(folder, **_pillow(), **options)
    _keep_bounds(image_processor, Path(folder))
    return ImageOnly(
        image_processor=image_processor,
        tokenizer=tokenizer,
        video_processor=None,
        chat_template=read_template(Path(folder)) or tokenizer.chat_template,
    )


def _pillow():
    is_five = int(transformers.__version__.partition(".")[0]) >= 5
    return {"backend": "pil"} if is_five else {"use_fast": False}


def _keep_bounds(image_processor, folder):
    """Set the bounds on an image's pixels that the checkpoint names.

    Qwen2VLImageProcessor of transformers 4.57.6 overlooks "size", and shrinks images to a megapixel.
    """
    written = _read_json(folder / "preprocessor_config.json")
    if written.get("size", {}).keys() >= {"shortest_edge", "longest_edge"}:
        least = written.get("min_pixels") or written["size"]["shortest_edge"]
        most = written.get("max_pixels") or written["size"]["longest_edge"]
        image_processor.size = {"shortest_edge": least, "longest_edge": most}


def read_template(folder):
    """Return the checkpoint's chat template from whichever file it is in; None where the tokenizer has it."""
    plain = folder / "chat_template.jinja"
    if plain.is_file():
        return plain.read_text(encoding="utf-8")
    files = (_read_json(folder / name) for name in ("chat_template.json", "processor_config.json"))
    return next((told["chat_template"] for told in files if told.get("chat_template")), None)


def _read_json(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_prompts(processor, conversations):
    """Return the text of each conversation as the checkpoint's chat template writes it, ready to be answered."""
    if not processor.chat_template:
        raise CheckpointError("the checkpoint has no chat template, and so cannot be asked as a chat model")
    return [
        processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
        for conversation in conversations
    ]
