"""Draw tokens for each row of a batch by itself: what one request is answered does not depend on the others.

Adding Gumbel noise to the logits and taking the largest is a draw from their softmax (Gumbel 1954; Maddison, Tarlow and
Minka, "A* Sampling", 2014, section 2). Each row has a generator of its own, which is seeded by what is asked.
"""

import hashlib
import random

import torch
import transformers


def choose_seed(seed):
    """Return `seed`, or one drawn at random where it is below 0."""
    return seed if seed >= 0 else random.getrandbits(63)


def mix_seed(seed, repeat, prompt, images):
    """Return a seed made of what is asked, so that answers to different requests are drawn independently.

    It depends on the prompt's text, on the images' sizes and pixels, on `seed`, and on `repeat`, from 1.
    """
    digest = hashlib.sha256(f"{seed} {repeat} {len(prompt.encode())} {prompt}".encode())
    for image in images:
        digest.update(f" {image.size} ".encode() + image.tobytes())
    return int.from_bytes(digest.digest()[:8], "big") >> 1


def draw_rows(seeds, temperature, top_p, top_k):
    """Return a logits processor, to be the last one, after which the largest logit of a row is its draw.

    On one kind of device a row's noise depends on its seed alone; a CPU and a GPU draw differently.
    """
    warpers = transformers.LogitsProcessorList([transformers.TemperatureLogitsWarper(temperature)])
    if top_k:
        warpers.append(transformers.TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(transformers.TopPLogitsWarper(top_p))
    generators = []

    def draw(input_ids, scores):
        if not generators:
            generators.extend(torch.Generator(scores.device).manual_seed(seed) for seed in seeds)
        warped = warpers(input_ids, scores.float())
        noise = torch.empty_like(warped)
        for row, generator in zip(noise, generators, strict=True):
            row.exponential_(generator=generator)
        return warped - noise.clamp_(min=torch.finfo(noise.dtype).tiny).log_()

    return draw
