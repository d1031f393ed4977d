"""Open a checkpoint's processor (tokenizer, image processor and chat template), with or without torchvision.

Images are processed by Pillow on every machine, whether torchvision is there or not: what a model is shown must not
depend on it.
"""

import inspect
import json
from pathlib import Path

import jinja2
import transformers
from pages import BadInputError
from vlm_checkpoint import CheckpointError, first_words

_FILES = {
    "tokenizer": ("tokenizer.json", "vocab.json", "tokenizer.model"),
    "image processor": ("preprocessor_config.json", "processor_config.json"),
}


def open_processor(checkpoint, class_name, *, trust_remote_code=False):
    """Return the processor `class_name` of `checkpoint`, padding on the left."""
    processor_class = getattr(transformers, class_name)
    takes_video = "video_processor" in inspect.signature(processor_class.__init__).parameters
    options = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    require_files(checkpoint)
    try:
        if takes_video:
            processor = _open_for_images(processor_class, checkpoint.folder, options)
        else:
            processor = processor_class.from_pretrained(checkpoint.folder, **options)
    except Exception as error:  # what its files hold decides where libraries stumble; tokenizers' are bare Exceptions
        raise CheckpointError(f"the processor of '{checkpoint.name}' cannot be opened: {first_words(error)}") from error
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def require_files(checkpoint):
    """Raise CheckpointError where a file is not there, or is no JSON, for which libraries have long explanations."""
    folder = Path(checkpoint.folder)
    for part, names in _FILES.items():
        if not any((folder / name).is_file() for name in names):
            raise CheckpointError(f"'{checkpoint.name}' has no {part}: there is no {' or '.join(names)} in {folder}")
        for name in names:
            try:
                _read_json(folder / name)
            except ValueError as error:
                raise CheckpointError(f"{folder / name} is damaged: it is no JSON object") from error


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
    """Return the object in a file, an empty one where there is no file or none of JSON; raise ValueError."""
    told = json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".json" and path.is_file() else {}
    if not isinstance(told, dict):
        raise ValueError(f"{path} is no JSON object")  # noqa: TRY004 - as of one that is no JSON
    return told


def write_prompts(processor, conversations):
    """Return the text of each conversation as the checkpoint's chat template writes it, ready to be answered."""
    if not processor.chat_template:
        raise CheckpointError("the checkpoint has no chat template, and so cannot be asked as a chat model")
    try:
        return [
            processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
            for conversation in conversations
        ]
    except jinja2.TemplateError as error:  # its own, which refuse a system prompt for one, and mistakes in it
        raise BadInputError(f"the checkpoint's chat template refuses this: {first_words(error)}") from error


def try_template(processor):
    """Raise CheckpointError where the chat template cannot write a question about an image."""
    content = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    try:
        write_prompts(processor, [[{"role": "user", "content": content}]])
    except BadInputError as error:
        raise CheckpointError(str(error)) from error
