"""Find the chat template of a LLaVA checkpoint; the older ones have none, and are asked in their family's form."""

from pathlib import Path

from vlm_checkpoint import CheckpointError
from vlm_processor import read_template

_PARTS = (
    "{% for part in message.content if part.type == 'image' %}<image>\n{% endfor %}"
    "{% for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}"
)
_VICUNA = (
    "{% for message in messages %}"
    "{% if message.role != 'system' %}{{ message.role | upper }}: {% endif %}" + _PARTS + "{{ ' ' }}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
_MISTRAL = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}<<SYS>>\n" + _PARTS + "{{ '\n<</SYS>>\n\n' }}"
    "{% elif message.role == 'user' %}[INST] " + _PARTS + " [/INST]"
    "{% else %}{{ ' ' }}" + _PARTS + "{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
TEMPLATES = {"llama": _VICUNA, "mistral": _MISTRAL}  # by the model_type of the language model


def choose_template(processor, config, checkpoint):
    """Return the checkpoint's chat template, or its family's. Raises CheckpointError where neither is known."""
    template = processor.chat_template or read_template(Path(checkpoint.folder)) or processor.tokenizer.chat_template
    language = config.text_config.model_type
    if not template and language not in TEMPLATES:
        raise CheckpointError(
            f"'{checkpoint.name}' has no chat template, and this runner has none for a LLaVA on {language}"
        )
    return template or TEMPLATES[language]
