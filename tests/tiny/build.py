"""Make a tiny checkpoint with random weights: `python build.py FAMILY FOLDER`, run by the Python of a runner's env.

It answers nonsense, by the real code of loading, processing, batching and generation. No hub is needed.
"""

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import llava
import qwen
import torch

FAMILIES = {**dict.fromkeys(qwen.FAMILIES, qwen.build), **dict.fromkeys(llava.FAMILIES, llava.build)}


def enliven(model):
    """Draw weights so large that what is seen and asked shows in the answer.

    As transformers draws them, a tiny model repeats its last token whatever it is shown, and every comparison of two
    ways to ask it succeeds.
    """
    generator = torch.Generator().manual_seed(0)
    for name, weights in sorted(model.named_parameters()):
        if weights.dim() >= 2:
            is_vocabulary = "embed_tokens" in name or "lm_head" in name
            spread = 1.0 if is_vocabulary else 1.5 / weights[0].numel() ** 0.5
            torch.nn.init.normal_(weights, 0.0, spread, generator=generator)


def main(family, folder):
    model, save_processor = FAMILIES[family](family)
    model = model.to(torch.float32).eval()
    enliven(model)
    model.save_pretrained(folder)
    save_processor(Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
