"""A checkpoint that was downloaded in part is told from a whole one, and a full disk from a hub that is away."""

import errno
import importlib
import json
import sys
import types
from pathlib import Path

import pytest

RUNNERS = Path(__file__).resolve().parent.parent / "runners"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = {"model.safetensors.index.json": json.dumps({"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}})}
BINS = json.dumps({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}})
REST = {"config.json": "{}", "tokenizer.json": "{}"}


@pytest.fixture
def shared(monkeypatch):
    for folder in ("_shared", "_vlm"):
        monkeypatch.syspath_prepend(RUNNERS / folder)
    return importlib.import_module


@pytest.mark.parametrize(
    ("files", "gap"),
    [
        ({"config.json": "{}"}, "its weights"),
        ({**REST, **INDEX}, "2 of 2 files of its weights"),
        ({**REST, **INDEX, SHARDS[0]: ""}, "1 of 2 files of its weights"),
        ({**REST, SHARDS[0]: ""}, "1 of 2 files of its weights"),
        ({"config.json": "{}", "model.safetensors": ""}, "its tokenizer"),
        ({**REST, **INDEX, SHARDS[0]: "", SHARDS[1]: ""}, None),
        ({**REST, "model.safetensors": ""}, None),
        ({**REST, "pytorch_model.bin": ""}, None),
        ({**REST, **INDEX, SHARDS[0]: "", SHARDS[1]: "", "pytorch_model.bin.index.json": BINS}, None),
        ({**REST, "pytorch_model.bin.index.json": BINS}, "1 of 1 files of its weights"),
    ],
)
def test_what_a_broken_off_download_lacks_is_named(shared, tmp_path, files, gap):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert shared("vlm_cache").find_gap(tmp_path) == gap


def hub(folder, error):
    """Stand for the hub's library, which is not installed here: nothing but the cache in `folder` can be had."""

    class HttpError(Exception):
        pass

    def model_info(*_, **__):
        raise error

    names = ("GatedRepoError", "RevisionNotFoundError", "RepositoryNotFoundError", "HFValidationError")
    classes = {name: type(name, (Exception,), {}) for name in names}
    return types.SimpleNamespace(
        HfApi=lambda: types.SimpleNamespace(model_info=model_info),
        snapshot_download=lambda *_, **__: str(folder),
        errors=types.SimpleNamespace(HfHubHTTPError=type("HfHubHTTPError", (HttpError,), {}), **classes),
        constants=types.SimpleNamespace(HF_HUB_OFFLINE=False, HF_HUB_CACHE="/cache/hub"),
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left"), "the disk is full at /cache/hub; free some space"),
        (ConnectionError(), "is only partly downloaded, without its weights (the hub cannot be reached, Con"),
        (ConnectionError(), "run again with network, set a local folder"),
    ],
)
def test_what_cannot_be_downloaded_says_why_and_what_to_do(shared, tmp_path, monkeypatch, error, words):
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_vl"}')
    checkpoints = shared("vlm_checkpoint")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub(tmp_path, error))
    with pytest.raises(checkpoints.HubError) as told:
        checkpoints.find_checkpoint("some/name", "main", ("qwen2_vl",))
    assert words in str(told.value)
