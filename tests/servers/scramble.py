"""Make a checkpoint like another with random weights: `python scramble.py CHECKPOINT FOLDER`, by a runner's Python.

Its answers are long and differ, so that two ways to ask it can be seen to give the same text.
"""

import shutil
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tiny"))

import torch
import transformers
from build import enliven


def main(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    enliven(model)
    made = Path(folder) / "made"
    model.save_pretrained(made)
    (made / "model.safetensors").replace(Path(folder) / "model.safetensors")
    shutil.rmtree(made)


if __name__ == "__main__":
    main(*sys.argv[1:])
