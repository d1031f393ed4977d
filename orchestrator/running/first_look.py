"""Ask one model one question, without a run."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config import Model, Workspace
from orchestrator.env import ensure_env, use_env
from orchestrator.errors import BakeoffError, ModelFailedError
from orchestrator.images import probe
from orchestrator.protocol import Failure, ProtocolError, Response
from orchestrator.running.worker_spec import make_spec
from orchestrator.session import Session, require_posix
from orchestrator.worker_life import Gone, Ready


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said; times in seconds."""

    text: str
    load_s: float
    latency_s: float
    output_tokens: int | None
    info: dict[str, Any]


def ask_once(
    workspace: Workspace, model: Model, images: Sequence[Path], question: str, notify: Callable[[str], None]
) -> Answer:
    """Start `model`, ask it `question` about `images`, and end it.

    Raises BakeoffError for an unusable image, ModelFailedError where the model cannot be loaded or does not answer.
    """
    require_posix()
    sent = []
    for path in images:
        seen = probe(path)
        if seen.defect:
            raise BakeoffError(seen.defect)
        sent.append({"path": str(path.resolve()), "sha256": seen.sha256})
    env = ensure_env(workspace, model.runner, notify)
    request: dict[str, Any] = {"type": "request", "id": "1", "prompt": question, "images": sent}
    with (
        use_env(env),
        tempfile.TemporaryDirectory(prefix="bakeoff-try-") as folder,
        Session(make_spec(workspace, model, env, Path(folder))) as session,
    ):
        return _converse(session, request, model.name)


def _send(session: Session, request: dict[str, Any]) -> None:
    try:
        session.send(request)
    except ProtocolError as error:
        raise BakeoffError(f"the question cannot be sent: {error}") from error


def _converse(session: Session, request: dict[str, Any], model: str) -> Answer:
    load_s = 0.0
    while True:
        for event in session.poll(0.5):
            match event:
                case Ready():
                    load_s = event.load_s
                    _send(session, request)
                case Response():
                    list(session.close())
                    info = dict(event.info or {})
                    return Answer(event.text, load_s, event.latency_s, event.output_tokens, info)
                case Failure():
                    raise ModelFailedError(f"model '{model}' could not answer ({event.kind}): {event.message}")
                case Gone():
                    raise ModelFailedError(f"model '{model}' failed: {event.reason}")
