"""Tiny models of the LLaVA families."""

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AddedToken

FAMILIES = ("llava", "llava_next")
CHAT = (
    "{% for message in messages %}{{ message['role'].upper() }}: {% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] in ('image', 'image_url') %}<image>\n{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}{% if message['role'] == 'assistant' %}</s>{% else %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
SPECIAL = {"<unk>": 0, "<s>": 1, "</s>": 2, "<image>": 3, "<pad>": 4}
TILES = [[56, 112], [112, 56], [112, 112]]
IMAGE_SIZE, PATCH = 56, 14


def build(family):
    """Return the model, and a function that saves its processor in a folder."""
    tokenizer = make_tokenizer()
    vision = transformers.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=IMAGE_SIZE,
        patch_size=PATCH,
        projection_dim=32,
    )
    text = transformers.LlamaConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=len(tokenizer),
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=4,
    )
    name, tiles = ("LlavaNext", {"image_grid_pinpoints": TILES}) if family == "llava_next" else ("Llava", {})
    config = getattr(transformers, f"{name}Config")(
        vision_config=vision,
        text_config=text,
        image_token_index=SPECIAL["<image>"],
        vision_feature_select_strategy="default",
        vision_feature_layer=-2,
        pad_token_id=SPECIAL["<pad>"],  # transformers 4.44 knows padding by it
        **tiles,
    )
    model = getattr(transformers, f"{name}ForConditionalGeneration")(config)
    model.generation_config.bos_token_id = 1
    model.generation_config.eos_token_id = 2
    model.generation_config.pad_token_id = 4
    return model, make_processor(name, tokenizer, tiles).save_pretrained


def make_tokenizer():
    """Return a tokenizer of 256 bytes and no merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {**SPECIAL, **{character: len(SPECIAL) + i for i, character in enumerate(alphabet)}}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="left",
        model_max_length=2048,
        model_input_names=["input_ids", "attention_mask"],  # generate refuses token_type_ids
    )
    tokenizer.add_tokens([AddedToken("<image>", special=True, normalized=False)], special_tokens=True)
    return tokenizer


def make_processor(name, tokenizer, tiles):
    """Return the processor; releases differ in what it may be told, and in who makes room for the image's tokens."""
    edges = {"size": {"shortest_edge": IMAGE_SIZE}, "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE}}
    kind = "LlavaNextImageProcessor" if tiles else "CLIPImageProcessor"
    image_class = getattr(transformers, f"{kind}Pil", None) or getattr(transformers, kind)
    processor_class = getattr(transformers, f"{name}Processor")
    processor = processor_class(image_class(**edges, **tiles), tokenizer, chat_template=CHAT)
    processor.patch_size = PATCH
    processor.vision_feature_select_strategy = "default"
    processor.num_additional_image_tokens = 1
    return processor
