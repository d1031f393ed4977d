"""Ask a runner about drawn squares in several ways: `python ask.py RUNNER CHECKPOINT FOLDER`, by its env's Python.

Prints one JSON object: for each way, the tokens of every answer up to its end. The runner is used as a worker does,
through load and generate_batch alone; tokens are overheard from the model's own generate.
"""

import importlib.util
import json
import sys
import tomllib
from pathlib import Path

from PIL import Image, ImageDraw

QUESTIONS = (
    "What is it?",
    "Which colour is the square, and how large is it next to the page that it is on? Say it in a few words.",
    "Сколько будет шесть рублей и ещё один?",
    "Read the text.",
)
PAGES = (((96, 64), "red"), ((150, 200), "green"), ((64, 128), "blue"), ((220, 90), "orange"))


def main(runner_folder, checkpoint, folder, dtype="auto"):
    module, params = load_runner(Path(runner_folder))
    params |= {"checkpoint": checkpoint, "max_new_tokens": 24, "device": "cpu", "dtype": dtype}
    images = [str(draw(Path(folder) / f"{i}.png", *page)) for i, page in enumerate(PAGES)]
    requests = [make_request(q, [image], params) for q, image in zip(QUESTIONS, images, strict=True)]
    mixed = [
        make_request(QUESTIONS[1], [], params),
        make_request(QUESTIONS[0], images[:3], params),
        make_request(QUESTIONS[2], images[3:], params, system="Answer like a pirate."),
    ]
    state = module.load(params)
    heard = overhear(state.model)
    said = {}

    def ask(name, batches):
        heard.clear()
        answers = [answer for batch in batches for answer in module.generate_batch(state, batch)]
        said[name] = {"tokens": list(heard), "answers": answers}

    ask("batched", [requests])
    ask("alone", [[request] for request in requests])
    ask("mixed", [mixed])
    ask("mixed alone", [[request] for request in mixed])
    swapped = [{**r, "images": [image]} for r, image in zip(requests, reversed(images), strict=True)]
    ask("images swapped", [swapped])
    state.processor.tokenizer.padding_side = "right"
    ask("padded on the right", [requests])
    print(json.dumps(said))


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
