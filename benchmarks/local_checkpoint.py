"""Make a Qwen2-VL checkpoint with random weights: `python local_checkpoint.py SHAPE DTYPE FOLDER`, by the runner's env.

No answer of it ends by itself, so that each is as long as asked for, whoever asks. No hub is needed.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "tiny"))

import build
import qwen
import torch
import transformers


@dataclass(frozen=True)
class Shape:
    """What differs from the checkpoint of tests/tiny; `pixels` are the least and most of an image."""

    text: dict = field(default_factory=dict)
    vision: dict = field(default_factory=dict)
    pixels: tuple = (qwen.LEAST_TOKENS * 28 * 28, qwen.MOST_TOKENS * 28 * 28)
    has_tied_embeddings: bool = False


def sections(*sizes):
    return {"rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": list(sizes)}}


SHAPES = {
    "tiny": Shape(),
    "small": Shape(
        {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, **sections(8, 12, 12)},
        {"embed_dim": 128, "hidden_size": 256},
    ),
    "qwen2-vl-2b": Shape(
        {
            "hidden_size": 1536,
            "intermediate_size": 8960,
            "num_hidden_layers": 28,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "vocab_size": 151936,
            "max_position_embeddings": 32768,
            "rope_theta": 1000000.0,
            **sections(16, 24, 24),
        },
        {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "mlp_ratio": 4, "num_heads": 16},
        pixels=(3136, 12845056),
        has_tied_embeddings=True,
    ),
}


def make_model(shape, tokenizer):
    """Return the model as transformers draws it."""
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in qwen.SPECIAL}
    tied = {"tie_word_embeddings": shape.has_tied_embeddings}
    config = transformers.Qwen2VLConfig(
        text_config={**qwen.text_config("qwen2_vl", len(tokenizer), ids), **shape.text, **tied},
        vision_config={**qwen.VISION["qwen2_vl"], **shape.vision},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        **tied,
    )
    model = transformers.Qwen2VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    return model


def never_end(model):
    """Give the end tokens a logit of 0, which some other token of random weights always exceeds."""
    with torch.no_grad():
        model.get_output_embeddings().weight[model.generation_config.eos_token_id] = 0


def main(name, dtype, folder):
    shape, tokenizer = SHAPES[name], qwen.make_tokenizer()
    model = make_model(shape, tokenizer)
    build.enliven(model)
    never_end(model)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    qwen.save_processor("qwen2_vl", tokenizer, Path(folder))
    least, most = shape.pixels
    qwen.rewrite(Path(folder, "preprocessor_config.json"), size={"shortest_edge": least, "longest_edge": most})


if __name__ == "__main__":
    main(*sys.argv[1:])
