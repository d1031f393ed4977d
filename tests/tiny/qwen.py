"""Tiny models of the Qwen-VL families."""

import json
import tempfile
from pathlib import Path

import transformers
from tokenizers import pre_tokenizers
from transformers import AddedToken

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
IS_FIVE = int(transformers.__version__.partition(".")[0]) >= 5
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] in ('image', 'image_url') %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
COMMON_VISION = {"depth": 2, "num_heads": 4, "spatial_merge_size": 2, "temporal_patch_size": 2}
LATER_VISION = {"hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 64, **COMMON_VISION}
VISION = {
    "qwen2_vl": {
        "embed_dim": 32,
        "hidden_size": 64,
        "mlp_ratio": 2,
        "patch_size": 14,
        "in_channels": 3,
        **COMMON_VISION,
    },
    "qwen2_5_vl": {
        **LATER_VISION,
        "patch_size": 14,
        "window_size": 112,
        "fullatt_block_indexes": [1],
        "tokens_per_second": 2,
    },
    "qwen3_vl": {
        **LATER_VISION,
        "patch_size": 16,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
    },
}
CLASSES = {"qwen2_vl": "Qwen2VL", "qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL"}
LEAST_TOKENS, MOST_TOKENS = 4, 64


def build(family):
    """Return the model, and a function that saves what its processor is made of in a folder."""
    tokenizer = make_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    name = CLASSES[family]
    config = getattr(transformers, f"{name}Config")(
        text_config=text_config(family, len(tokenizer), ids),
        vision_config=VISION[family],
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    model = getattr(transformers, f"{name}ForConditionalGeneration")(config)
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    return model, lambda folder: save_processor(family, tokenizer, folder)


def make_tokenizer():
    """Return a tokenizer of 256 bytes and no merges: any text survives it."""
    vocabulary = {character: i for i, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    ends = {"unk_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    if IS_FIVE:
        tokenizer = transformers.Qwen2Tokenizer(vocab=vocabulary, merges=[], **ends)
    else:
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder, "vocab.json"), Path(folder, "merges.txt")
            files[0].write_text(json.dumps(vocabulary))
            files[1].write_text("#version: 0.2\n")
            tokenizer = transformers.Qwen2TokenizerFast(*map(str, files), **ends)
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL], special_tokens=True)
    tokenizer.model_max_length = 4096
    return tokenizer


def text_config(family, vocabulary, ids):
    """Return the language model's configuration."""
    rope = {"type": "mrope", "rope_type": "default", "mrope_section": [2, 3, 3]}
    later = {}
    if family == "qwen3_vl":
        rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True}
        later = {"head_dim": 16}
    return {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": vocabulary,
        "max_position_embeddings": 4096,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "rope_scaling": rope,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
        **later,
    }


def save_processor(family, tokenizer, folder):
    """Write the parts one by one: a processor as a whole has a video part, which needs torchvision."""
    patch = VISION[family]["patch_size"]
    token_pixels = (2 * patch) ** 2
    name = "Qwen2VLImageProcessorPil" if IS_FIVE else "Qwen2VLImageProcessor"
    processor = getattr(transformers, name)(patch_size=patch, temporal_patch_size=2, merge_size=2)
    tokenizer.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(CHAT)
    rewrite(
        folder / "preprocessor_config.json",
        processor_class=f"{CLASSES[family]}Processor",
        size={"shortest_edge": LEAST_TOKENS * token_pixels, "longest_edge": MOST_TOKENS * token_pixels},
        min_pixels=None,
        max_pixels=None,
    )
    rewrite(folder / "config.json", architectures=[f"{CLASSES[family]}ForConditionalGeneration"])


def rewrite(path, **changes):
    """Change top-level keys of a JSON file; None takes one out."""
    told = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in told.items() if value is not None}, indent=1))
