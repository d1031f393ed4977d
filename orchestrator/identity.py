"""What makes two answers the same question: keys of predictions and digests of runners."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from orchestrator.manifest import MANIFEST_NAME, Runner

KEY_VERSION = 1
_NOT_CODE = {MANIFEST_NAME, "requirements.txt", "requirements.lock"}


def canonical(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key_prefix(model: str, runner_digest: str, params: Mapping[str, Any], system: str | None) -> bytes:
    """Return the part of a key's canonical JSON that all requests of one cell share."""
    return canonical([KEY_VERSION, model, runner_digest, params, system])[:-1].encode() + b","


def request_key(prefix: bytes, prompt: str | list[dict[str, Any]], image_digests: Sequence[str], repeat: int) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of all that a model's answer depends on.

    `prompt` is the rendered text, question included, or empty for a runner that ignores it; so two samples that ask
    the very same thing of the same image share one prediction. Of a chat it is the messages, a list, which no text can
    pose as; `image_digests` are the sample's own. Concurrency, batch size and paths are not part of it.
    """
    return hashlib.sha256(prefix + to_json([prompt, image_digests, repeat], ensure_ascii=True)[1:]).hexdigest()


def digest_runner(runner: Runner, lock_digest: str) -> str:
    """Return the SHA-256 (hex) of the runner's code, helper folders, command and `lock_digest`.

    Documentation, tests of the runner and the manifest's other keys do not count: parameters are in the key themselves.
    """
    digest = hashlib.sha256(canonical(runner.manifest.command).encode())
    for label, folder in (("", runner.folder), *((f.name, f) for f in runner.helper_folders)):
        for path in sorted(_code_files(folder)):
            _add_file(digest, f"{label}/{path.relative_to(folder).as_posix()}", path)
    digest.update(lock_digest.encode())
    return digest.hexdigest()


def _code_files(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in _NOT_CODE
        and path.suffix not in {".md", ".pyc"}
        and not any(
            part[0] == "." or part in {"__pycache__", "node_modules"} for part in path.relative_to(folder).parts
        )
    ]


def _add_file(digest: Any, name: str, path: Path) -> None:
    content = hashlib.sha256(path.read_bytes()).digest()
    digest.update(len(name.encode()).to_bytes(4, "big") + name.encode() + content)
