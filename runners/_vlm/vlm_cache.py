"""Look whether a folder holds a whole checkpoint: a download that was broken off leaves a part of one."""

import json
import re
from pathlib import Path

_SHARD = re.compile(r"(?P<name>.+)-\d{5}-of-(?P<count>\d{5})(?P<suffix>\.safetensors|\.bin)").fullmatch
_WEIGHTS = (".safetensors", ".bin")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "tekken.json")


def find_gap(folder):
    """Return in words what the checkpoint in `folder` lacks, None where it is whole: weights, shards, a tokenizer."""
    names = {path.name for path in Path(folder).iterdir() if path.exists()}  # a link may lead to nothing
    wanted = set()
    for name in names:
        if name.endswith(".index.json"):
            wanted |= _read_shards(Path(folder, name))
        elif shard := _SHARD(name):
            count = int(shard["count"])
            wanted |= {f"{shard['name']}-{n:05}-of-{count:05}{shard['suffix']}" for n in range(1, count + 1)}
    gaps = [_find_weights_gap(names, wanted, suffix) for suffix in _WEIGHTS]
    if all(gaps):  # one whole format will do; of the other there may be an index alone
        return gaps[0] if any(name.endswith(_WEIGHTS[0]) for name in wanted) else gaps[1]
    return None if names & set(_TOKENIZERS) else "its tokenizer"


def _find_weights_gap(names, wanted, suffix):
    if any(name.endswith(suffix) and not _SHARD(name) for name in names):
        return None
    shards = {name for name in wanted if name.endswith(suffix)}
    missing = len(shards - names)
    if shards:
        return f"{missing} of {len(shards)} files of its weights" if missing else None
    return "its weights"


def _read_shards(index):
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
