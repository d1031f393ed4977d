"""Load checkpoints that lack something: `python damaged.py RUNNER CHECKPOINT FOLDER`, run by the Python of its env.

Prints one JSON object: for each way of damage, kind and sentence of the error, or the state's model was loaded (null).
"""

import json
import shutil
import sys
from pathlib import Path

import ask
import build
import torch
from safetensors.torch import load_file, save_file

TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer.model")
TEMPLATES = ("chat_template.jinja", "chat_template.json", "processor_config.json")


def main(runner_folder, checkpoint, folder):
    if not Path(checkpoint).exists():
        build.main(Path(runner_folder).name, checkpoint)
    module, params = ask.load_runner(Path(runner_folder))
    said = {}
    for name, damage in DAMAGES.items():
        copy = Path(folder) / name
        shutil.copytree(checkpoint, copy)
        own = damage(copy) or {}
        try:
            module.load({**params, "device": "cpu", "checkpoint": str(copy), **own})
            said[name] = None
        except Exception as error:
            said[name] = ask.tell(error) if hasattr(error, "kind") else {"kind": "bug", "sentence": repr(error)}
    print(json.dumps(said))


def change_weights(folder, change):
    """Let `change` alter the tensors by name; return whatever it does."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def pick(tensors, part):
    return next(name for name in sorted(tensors) if part in name)


def lack_one(folder):
    change_weights(folder, lambda tensors: tensors.pop(pick(tensors, "layers.0.self_attn.q_proj")))


def lack_a_layer(folder):
    def drop(tensors):
        for name in [name for name in tensors if "layers.0." in name]:
            del tensors[name]

    change_weights(folder, drop)


def misshape(folder):
    def widen(tensors):
        name = pick(tensors, "layers.1.mlp.down_proj")
        tensors[name] = torch.zeros(3, 5)

    change_weights(folder, widen)


def tie(folder):
    """Leave the last layer out where it is the embeddings, as the 2B models do."""
    change_weights(folder, lambda tensors: tensors.pop(pick(tensors, "lm_head")))
    path = folder / "config.json"
    told = json.loads(path.read_text())
    for part in (told, told["text_config"]):
        part["tie_word_embeddings"] = True
    path.write_text(json.dumps(told))


def remove(*names):
    def act(folder):
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return act


def write(name, text):
    return lambda folder: (folder / name).write_text(text) and None


def lose_template(folder):
    remove(*TEMPLATES)(folder)
    path = folder / "tokenizer_config.json"
    told = json.loads(path.read_text())
    told.pop("chat_template", None)
    path.write_text(json.dumps(told))


DAMAGES = {
    "whole": lambda folder: None,
    "one tensor gone": lack_one,
    "a layer gone": lack_a_layer,
    "a tensor of another shape": misshape,
    "tied": tie,
    "no tokenizer": remove(*TOKENIZER),
    "half a tokenizer": write("tokenizer.json", '{"model": '),
    "an odd tokenizer": write("tokenizer.json", '{"version": "1.0", "model": {"type": "Odd"}}'),
    "no image processor": remove("preprocessor_config.json", "processor_config.json"),
    "half an image processor": write("preprocessor_config.json", "{"),
    "an odd image processor": write("preprocessor_config.json", '{"image_processor_type": "Odd"}'),
    "no template": lose_template,
    "a broken template": write("chat_template.jinja", "{% for %}"),
    "an odd fit": lambda folder: {"fit": "stretch"},
    "odd bounds": lambda folder: {"min_pixels": 9000, "max_pixels": 8000},
}


if __name__ == "__main__":
    main(*sys.argv[1:])
