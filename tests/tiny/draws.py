"""Draw many tokens from known logits: `python draws.py RUNNERS`, run by the Python of a runner's env.

Prints one JSON object: for each set of sampling parameters, how often each token was drawn, and its probability.
"""

import json
import sys
from pathlib import Path

sys.path += [str(Path(sys.argv[1]) / name) for name in ("_vlm", "_shared")]

import torch
import vlm_sampling

LOGITS, DRAWS = [2.0, 1.0, 0.0, -1.0, -30.0], 20_000
WAYS = {
    "plain": {"temperature": 1.0, "top_p": 1.0, "top_k": 0},
    "hot": {"temperature": 2.0, "top_p": 1.0, "top_k": 0},
    "two": {"temperature": 1.0, "top_p": 1.0, "top_k": 2},
    "most": {"temperature": 1.0, "top_p": 0.8, "top_k": 0},
}

said = {}
for name, way in WAYS.items():
    draw = vlm_sampling.draw_rows([vlm_sampling.mix_seed(7, 1, str(i), []) for i in range(DRAWS)], **way)
    tokens = draw(None, torch.tensor(LOGITS).expand(DRAWS, -1)).argmax(dim=1)
    probabilities = torch.softmax(torch.tensor(LOGITS) / way["temperature"], 0)
    if name in ("two", "most"):  # 0.8 of the mass are the two likeliest
        probabilities[2:] = 0
    counts = torch.bincount(tokens, minlength=len(LOGITS)).tolist()
    said[name] = [counts, (probabilities / probabilities.sum()).tolist()]
print(json.dumps(said))
