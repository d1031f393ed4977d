"""Ask a vLLM runner about squares in several ways: `python ask_vllm.py RUNNER CHECKPOINT FOLDER`, by its env's Python.

The runner is used as a worker does, through load and generate_batch alone. Prints one JSON object: for each way the
answers, or kind and sentence of what was raised. Its last way kills the engine.
"""

import importlib.util
import json
import os
import random
import signal
import sys
import time
import tomllib
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tiny"))

from squares import QUESTION, SHADES, draw_square


def main(runner_folder, checkpoint, folder):
    module, params = load_runner(Path(runner_folder))
    params |= {"checkpoint": checkpoint, "dtype": "float32", "max_model_len": 256, "max_new_tokens": 12}
    params |= {"kv_cache_gb": 0.5, "limit_mm_per_prompt": {"image": 3}}
    state = module.load(params)
    ways = make_ways(Path(folder), params)
    said = {name: ask(module, state, requests) for name, requests in ways.items()}
    kill_children()
    said["engine killed"] = ask(module, state, ways["alone"])
    print("\n" + json.dumps(said))
    sys.stdout.flush()
    os._exit(0)


def make_ways(folder, params):
    """Return lists of requests by name."""
    draw = random.Random(3)
    squares = [save(draw_square(draw, SHADES[letter]), folder / f"{letter}.png") for letter in "ABCD"]
    broken, thin = folder / "broken.png", save(draw_square(draw, SHADES["A"]).resize((900, 2)), folder / "thin.png")
    broken.write_bytes(b"no image")
    first = make_request(QUESTION, squares[:1], params)
    asked = [make_request(QUESTION, [square], params) for square in squares]
    loud = make_request("What do you see? " + QUESTION, squares[1:2], params)
    return {
        "together": asked,
        "again": asked,
        "alone": [first],
        "mixed": [
            make_request(QUESTION, [], params),
            make_request(QUESTION, squares[:3], params),
            make_request(QUESTION, squares[3:], params, system="Answer like a pirate."),
        ],
        "a broken image": [*asked[:3], {**first, "images": [str(broken)]}],
        "a missing image": [{**first, "images": [str(folder / "none.png")]}],
        "a thin image": [{**first, "images": [thin]}],
        "four images": [{**first, "images": squares}],
        "too long": [*asked[:3], {**first, "prompt": QUESTION * 10}],
        "a placeholder": [{**first, "prompt": "<|image_pad|>"}],
        "after errors": asked,
        "enlarged": [with_params(first, mm_processor_kwargs={"min_pixels": 28 * 28 * 36, "max_pixels": 28 * 28 * 64})],
        "stopped": [with_params(loud, stop=["a", "e", "i", "o", "u", "A", "B", "C", "D", " "])],
        "one token": [with_params(loud, max_new_tokens=1)],
        "sampled": [with_params(loud, temperature=2.0, seed=7)],
        "sampled again": [with_params(loud, temperature=2.0, seed=7)],
        "sampled once more": [{**with_params(loud, temperature=2.0, seed=7), "repeat": 2}],
        "sampled otherwise": [with_params(loud, temperature=2.0, top_k=200, seed=8)],
        "loud": [loud],
        "misspelt": [with_params(first, temprature=1.0)],
        "cold": [with_params(first, temperature=-1.0)],
    }


def save(image, path):
    image.save(path)
    return str(path)


def make_request(question, images, params, system=None):
    return {"id": "", "prompt": question, "system": system, "images": images, "params": dict(params)}


def with_params(request, **changes):
    return {**request, "params": {**request["params"], **changes}}


def ask(module, state, requests):
    try:
        return {"answers": [tell(answer) for answer in module.generate_batch(state, requests)]}
    except Exception as error:
        return {"kind": getattr(error, "kind", None), "sentence": str(error)}


def tell(answer):
    """Return an answer as it is, or the kind and the sentence of the exception in its place."""
    return {"kind": answer.kind, "sentence": str(answer)} if isinstance(answer, Exception) else answer


def load_runner(folder):
    """Return the runner's module and its default parameters."""
    manifest = tomllib.loads((folder / "runner.toml").read_text())
    sys.path += [str(folder), *(str(folder / helper) for helper in manifest["path"])]
    spec = importlib.util.spec_from_file_location("runner", folder / "runner.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, manifest["defaults"]


def kill_children():
    """Kill the processes of the engine, as the system does when memory runs out."""
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
    time.sleep(2)


if __name__ == "__main__":
    main(*sys.argv[1:])
