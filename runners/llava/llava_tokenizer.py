"""Open the processors of checkpoints whose tokenizer was saved by a newer release.

Since tokenizers 0.20 the merges in tokenizer.json are pairs; 0.19 reads "left right" alone, and gives up with "data did
not match any variant of untagged enum ModelWrapper". LLaVA's checkpoints on the hub were saved anew at the end of 2024.
"""

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path

import vlm_processor

_READ = (".json", ".jinja", ".model", ".txt")  # what a processor is made of, unlike weights


def open_processor(checkpoint, class_name, **options):
    """Return the processor as vlm_processor does, from a copy of its files where these cannot be read as they are."""
    vlm_processor.require_files(checkpoint)
    tokenizer = _read_tokenizer(Path(checkpoint.folder))
    merges = tokenizer.get("model", {}).get("merges") or []
    if not any(isinstance(merge, list) for merge in merges):
        return vlm_processor.open_processor(checkpoint, class_name, **options)
    tokenizer["model"]["merges"] = [" ".join(merge) for merge in merges]
    with tempfile.TemporaryDirectory() as folder:
        for path in Path(checkpoint.folder).iterdir():
            if path.suffix in _READ:
                shutil.copyfile(path, Path(folder) / path.name)
        (Path(folder) / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
        copy = dataclasses.replace(checkpoint, folder=folder)
        return vlm_processor.open_processor(copy, class_name, **options)


def _read_tokenizer(folder):
    path = folder / "tokenizer.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
