"""Ask a runner about drawn squares in several ways: `python ask.py RUNNER CHECKPOINT FOLDER`, by its env's Python.

A tiny checkpoint of the runner's family is made there first if there is none.

Prints one JSON object: for each way, the tokens of every answer up to its end. The runner is used as a worker does,
through load and generate_batch alone; tokens are overheard from the model's own generate.
"""

import dataclasses
import importlib.util
import json
import sys
import tomllib
from pathlib import Path

import build
import torch
from PIL import Image, ImageDraw

QUESTIONS = (
    "What is it?",
    "Which colour is the square, and how large is it next to the page that it is on? Say it in a few words.",
    "Сколько будет шесть рублей и ещё один?",
    "Read the text.",
)
PAGES = (((96, 64), "red"), ((150, 200), "green"), ((64, 128), "blue"), ((220, 90), "orange"))


def main(runner_folder, checkpoint, folder):
    if not Path(checkpoint).exists():
        build.main(Path(runner_folder).name, checkpoint)
    module, params = load_runner(Path(runner_folder))
    params |= {"checkpoint": checkpoint, "max_new_tokens": 12, "device": "cpu"}
    images = [str(draw(Path(folder) / f"{i}.png", *page)) for i, page in enumerate(PAGES)]
    odd = {"thin": (900, 4), "flat": (100, 3), "narrow": (3, 100), "dot": (1, 1), "large": (700, 500)}
    odd = {name: str(draw(Path(folder) / f"{name}.png", size, "red")) for name, size in odd.items()}
    state = module.load(params)
    ways = make_ways(images, params)
    ways |= {name: [[make_request("What is it?", [image], params)]] for name, image in odd.items()}
    said = {name: ask(module, state, batches) for name, batches in ways.items()}
    (drawn,) = ways["drawn"]
    seeds = [answer["info"]["seed"] for answer in said["drawn"]["answers"]]
    known = [with_params(request, seed=seed) for request, seed in zip(drawn, seeds, strict=True)]
    said["drawn again"] = ask(module, state, alone(known))
    good, thin = ways["batched"][0], ways["thin"][0][0]
    missing = {**good[0], "images": [str(Path(folder) / "missing.png")]}
    long = {**good[0], "prompt": "very " * state.room}
    unknown = with_params(good[0], colour="blue")
    said["set aside"] = ask(module, state, [[thin, *good[:2], long, missing, *good[2:], unknown]])
    said["starved by one"] = ask(module, replace_model(state, starved_by_length, said["batched"]), ways["batched"])
    said["starved"] = ask(module, replace_model(state, starved, 2), ways["batched"])
    said["starved at one"] = ask(module, replace_model(state, starved, 0), ways["batched"])
    said["lost"] = ask(module, replace_model(state, lost), ways["batched"])
    state.processor.tokenizer.padding_side = "right"
    said["padded on the right"] = ask(module, state, ways["batched"])
    print(json.dumps(said))


def make_ways(images, params):
    """Return lists of batches of requests by name."""
    requests = [make_request(q, [image], params) for q, image in zip(QUESTIONS, images, strict=True)]
    mixed = [
        make_request(QUESTIONS[1], [], params),
        make_request(QUESTIONS[0], images[:3], params),
        make_request(QUESTIONS[2], images[3:], params, system="Answer like a pirate."),
    ]
    turned = [mixed[0], {**mixed[1], "images": list(reversed(images[:3]))}, {**mixed[2], "system": None}]
    differing = [with_params(r, max_new_tokens=n) for r, n in zip(requests, (3, 12, 3, 12), strict=True)]
    sampled = [with_params(r, temperature=1.0, top_p=0.9, seed=7) for r in requests]
    return {
        "batched": [requests],
        "alone": alone(requests),
        "mixed": [mixed],
        "mixed alone": alone(mixed),
        "mixed turned": [turned],
        "images swapped": [[{**r, "images": [i]} for r, i in zip(requests, reversed(images), strict=True)]],
        "differing": [differing],
        "sampled": [sampled],
        "sampled in another batch": alone(reversed(sampled)),
        "sampled with another seed": [[with_params(r, seed=8) for r in sampled]],
        "sampled once more": [[{**r, "repeat": 2} for r in sampled]],
        "sampled from one": [[with_params(r, top_k=1) for r in sampled]],
        "sampled from the top": [[with_params(r, top_p=1e-6) for r in sampled]],
        "sampled coldly": [[with_params(r, top_p=1.0, temperature=1e-4) for r in sampled]],
        "twins": [[sampled[0], *sampled]],
        "drawn": [[with_params(r, seed=-1) for r in [*sampled[:1] * 5, *sampled[1:]]]],
        "penalised": [[with_params(r, repetition_penalty=5.0) for r in requests]],
        "shrunk": [[with_params(r, min_pixels=1, max_pixels=6 * 28 * 28) for r in requests]],
        "unshrinkable": [[with_params(requests[0], min_pixels=9000, max_pixels=8000)]],
        "placeholder": [[{**requests[0], "prompt": "<|image_pad|><image>"}]],
    }


def alone(requests):
    return [[request] for request in requests]


def with_params(request, **changes):
    return {**request, "params": {**request["params"], **changes}}


def ask(module, state, batches):
    """Return the tokens and the answers, or the kind and the sentence of what was raised for all."""
    heard = overhear(state.model)
    try:
        answers = [tell(answer) for batch in batches for answer in module.generate_batch(state, batch)]
    except Exception as error:
        return {"kind": getattr(error, "kind", None), "sentence": str(error)}
    finally:
        del state.model.generate
    return {"tokens": heard, "answers": answers}


def tell(answer):
    """Return an answer as it is, or the kind and the sentence of the exception in its place."""
    return {"kind": answer.kind, "sentence": str(answer)} if isinstance(answer, Exception) else answer


def replace_model(state, broken, *options):
    """Return `state` with a model that fails as a GPU does; `generate` is otherwise the same."""
    return dataclasses.replace(state, model=broken(state.model, *options), portion=type(state.portion)())


def starved(model, most):
    """Run out of memory with more than `most` rows."""

    def generate(**inputs):
        if len(inputs["input_ids"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return model.generate(**inputs)

    return stand_in(model, generate)


def starved_by_length(model, said):
    """Run out of memory with the longest request, alone or not."""
    longest = max(answer["input_tokens"] for answer in said["answers"])

    def generate(**inputs):
        if inputs["input_ids"].shape[1] >= longest:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return model.generate(**inputs)

    return stand_in(model, generate)


def lost(model):
    """Fail as after an illegal access to the device's memory."""

    def generate(**inputs):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    return stand_in(model, generate)


def stand_in(model, generate):
    class Broken:
        def __getattr__(self, name):
            return getattr(model, name)

    Broken.generate = staticmethod(generate)
    return Broken()


def load_runner(folder):
    """Return the runner's module and its default parameters."""
    manifest = tomllib.loads((folder / "runner.toml").read_text())
    sys.path += [str(folder), *(str(folder / helper) for helper in manifest["path"])]
    spec = importlib.util.spec_from_file_location("runner", folder / "runner.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, manifest["defaults"]


def draw(path, size, colour):
    page = Image.new("RGB", size, "white")
    if min(size) > 40:
        ImageDraw.Draw(page).rectangle([8, 8, size[0] - 20, size[1] - 20], fill=colour)
    page.save(path)
    return path


def make_request(question, images, params, system=None):
    return {"id": "", "prompt": question, "system": system, "images": images, "params": dict(params)}


def overhear(model):
    """Return a list that each row of tokens that the model generates is put into, up to and with its end."""
    heard, generate = [], model.generate

    def listening(**inputs):
        sequences = generate(**inputs)
        rows = sequences[:, inputs["input_ids"].shape[1] :].tolist()
        heard.extend(cut(row, model.generation_config.eos_token_id) for row in rows)
        return sequences

    model.generate = listening
    return heard


def cut(row, ends):
    ends = ends if isinstance(ends, list) else [ends]
    return next((row[: i + 1] for i, token in enumerate(row) if token in ends), row)


if __name__ == "__main__":
    main(*sys.argv[1:])
