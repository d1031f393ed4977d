"""Find a checkpoint: a local folder as it is, or a snapshot of the Hugging Face hub, within seconds or not at all.

Nothing here imports torch, so that a checkpoint that cannot be had is told before that is loaded.
"""

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path

from vlm_cache import find_gap

TIMEOUT_S = 10
REMEDY = (
    "set a local folder with --param checkpoint=FOLDER (in a set: params of the model), log in with HF_TOKEN, "
    "or pick a smaller model"
)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SKIPPED = ("*.pth", "*.pt", "*.gguf", "*.onnx", "*.msgpack", "*.h5", "original/*")


class CheckpointError(ValueError):
    """A checkpoint that cannot be had, or that is none of this runner's."""

    kind = "bad_params"


class HubError(CheckpointError):
    """The hub cannot be reached just now."""

    kind = "transient"


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a model: its `name` for people, and the model_type of its config.json."""

    folder: str
    name: str
    model_type: str


def find_checkpoint(checkpoint, revision, model_types):
    """Return the Checkpoint; download it where it is a name on the hub. Raises CheckpointError in one sentence.

    A path is a folder that exists, or what begins with `.`, `/` or `~`; relative ones are taken from the working
    directory, which is the workspace. A local folder has no revision. `model_types` of None are all there are.
    """
    path = Path(checkpoint).expanduser()
    if path.is_dir():
        return _read_folder(path.resolve(), path.resolve().name, model_types)
    if checkpoint.startswith((".", "/", "~")) or checkpoint.count("/") > 1 or path.exists():
        raise CheckpointError(f"checkpoint = '{checkpoint}': there is no folder {path.absolute()}")
    return _read_folder(_download(checkpoint, revision), f"{checkpoint}@{revision}", model_types)


def _read_folder(folder, name, model_types):
    try:
        model_type = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or "it is no JSON object"
        raise CheckpointError(f"the checkpoint in {folder} has no readable config.json: {reason}") from error
    if model_types is not None and model_type not in model_types:
        raise CheckpointError(
            f"the checkpoint '{name}' is of type '{model_type}', and this runner loads {', '.join(model_types)}"
        )
    return Checkpoint(str(folder), name, model_type)


def first_words(error):
    """Return the first line of what a library says, without its advice on the hub, at most 200 characters of it."""
    words = (str(error).strip() or type(error).__name__).partition("\n")[0].partition(" If you were trying")[0]
    return words if len(words) <= 200 else f"{words[:199]}…"


def _download(checkpoint, revision):
    """Return the folder of the hub's snapshot; what is in the cache already is not fetched again."""
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(TIMEOUT_S))  # read when the library is imported
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", str(TIMEOUT_S))
    import huggingface_hub  # noqa: PLC0415
    from huggingface_hub import errors  # noqa: PLC0415

    if _is_offline():
        return _take_from_cache(checkpoint, revision, "HF_HUB_OFFLINE is set")
    try:
        files = huggingface_hub.HfApi().model_info(checkpoint, revision=revision, timeout=TIMEOUT_S).siblings
        skipped = _skipped([file.rfilename for file in files])
        return huggingface_hub.snapshot_download(checkpoint, revision=revision, ignore_patterns=skipped)
    except errors.GatedRepoError as error:
        page = f"https://huggingface.co/{checkpoint}"
        sentence = f"'{checkpoint}' is gated: accept its terms at {page}, then log in with HF_TOKEN"
        raise CheckpointError(sentence) from error
    except errors.RevisionNotFoundError as error:
        hint = "name another with --param revision=main"
        raise CheckpointError(f"'{checkpoint}' has no revision '{revision}' on the hub: {hint}") from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        sentence = f"the hub shows no checkpoint '{checkpoint}'{_nor_folder(checkpoint)}: {REMEDY}"
        raise CheckpointError(sentence) from error
    except (OSError, *_network_errors(errors)) as error:  # no network, a proxy, a stall, 5xx, a full disk
        if getattr(error, "errno", None) in _FULL:
            place = huggingface_hub.constants.HF_HUB_CACHE
            sentence = f"the disk is full at {place}; free some space, or let HF_HOME name another disk"
            raise HubError(f"the checkpoint '{checkpoint}' cannot be downloaded: {sentence}") from error
        return _take_from_cache(checkpoint, revision, _reason(error))


def _is_offline():
    from huggingface_hub import constants  # noqa: PLC0415

    return constants.HF_HUB_OFFLINE


def _skipped(files):
    """Return patterns of what a loader never reads: other formats, and pickles beside safetensors."""
    has_safetensors = any(name.endswith(".safetensors") for name in files)
    return [*_SKIPPED, "*.bin"] if has_safetensors else list(_SKIPPED)


def _network_errors(errors):
    """Return what is no OSError: that of the HTTP client in use (httpx since huggingface_hub 1), and of Xet."""
    names = ("XetError", "XetDownloadError", "RevisionResolutionError")
    return (errors.HfHubHTTPError.__bases__[0], *(getattr(errors, name) for name in names if hasattr(errors, name)))


def _take_from_cache(checkpoint, revision, reason):
    import huggingface_hub  # noqa: PLC0415

    remedy = f"{'unset HF_HUB_OFFLINE' if _is_offline() else 'run again with network'}, {REMEDY}"
    try:
        folder = huggingface_hub.snapshot_download(
            checkpoint, revision=revision, local_files_only=True, ignore_patterns=[*_SKIPPED, "*.bin"]
        )
    except (OSError, ValueError) as error:
        sentence = f"the checkpoint '{checkpoint}' cannot be fetched ({reason}){_nor_folder(checkpoint)}: {remedy}"
        raise HubError(sentence) from error
    if gap := find_gap(folder):
        raise HubError(f"the checkpoint '{checkpoint}' is only partly downloaded, without {gap} ({reason}): {remedy}")
    return folder


def _nor_folder(checkpoint):
    """Say that it is no folder here: one's name, mistyped, looks like one of the hub's."""
    return f", and there is no folder {Path(checkpoint).absolute()}"


def _reason(error):
    """Return why a download failed, in a few words."""
    if getattr(error, "strerror", None):  # a folder cannot be written
        return error.strerror
    response = getattr(error, "response", None)
    if response is not None:
        return f"the hub answered {response.status_code}"
    return f"the hub cannot be reached, {type(error).__name__}"
