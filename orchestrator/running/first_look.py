"""Ask one model one question, without a run."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.config import Model, Workspace, refuse_gaps
from orchestrator.env import ensure_env, use_env
from orchestrator.errors import BakeoffError, ModelFailedError, UsageError
from orchestrator.images import probe
from orchestrator.prompt import Asked, Image, Prompt, ask, images_of
from orchestrator.protocol import Failure, ProtocolError, Response
from orchestrator.running.fitting import refuse_chats
from orchestrator.running.loading import Loading
from orchestrator.running.parameters import find_unset, refuse_misfits_over
from orchestrator.running.rows import take_columns
from orchestrator.running.spent import Spent
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
    spent: Spent = field(default_factory=Spent)


def ask_once(
    workspace: Workspace,
    model: Model,
    images: Sequence[Path],
    question: str,
    notify: Callable[[str], None],
    prompt: Prompt | None = None,
) -> Answer:
    """Start `model`, ask it `question` about `images`, by `prompt` if there is one, and end it.

    Raises BakeoffError for an unusable image, prompt or parameter, ModelFailedError where the model cannot be loaded or
    does not answer.
    """
    require_posix()
    refuse_misfits_over(workspace, model)
    refuse_gaps(model, model.params)
    request = _fill_in(model, prompt, question, [_look_at(path) for path in images])
    if unset := find_unset(workspace, model, model.params):
        raise ModelFailedError(f"model '{model.name}' failed: {unset}")
    env = ensure_env(workspace, model.runner, notify)
    with (
        use_env(env),
        tempfile.TemporaryDirectory(prefix="bakeoff-try-") as folder,
        Session(make_spec(workspace, model, env, Path(folder))) as session,
    ):
        return _converse(session, request, model.name, Loading(session, lambda text: notify(f"{model.name}: {text}")))


def _look_at(path: Path) -> Image:
    seen = probe(path)
    if seen.defect:
        raise BakeoffError(seen.defect)
    return Image(str(path.resolve()), seen.sha256 or "")


def _fill_in(model: Model, prompt: Prompt | None, question: str, images: Sequence[Image]) -> dict[str, Any]:
    """Return the request that puts `question` to `model`."""
    asked = Asked(question)
    if prompt is not None:
        refuse_chats([model], [prompt])
        asked = ask(prompt, question=question, images=images)
    if asked.defect:
        raise UsageError(
            f"prompt set '{prompt and prompt.id}' goes by class and type, which are not known here; "
            "put one of its texts in as the question"
        )
    request: dict[str, Any] = {"type": "request", "id": "1", "prompt": asked.text}
    if prompt is not None and prompt.system is not None:
        request["system"] = prompt.system
    if asked.messages is None or model.runner.manifest.ignores_prompt:
        return {**request, "images": [image._asdict() for image in images]}
    shown = [image._asdict() for image in images_of(asked.messages)]
    return {**request, "images": shown, "messages": asked.messages}


def _send(session: Session, request: dict[str, Any]) -> None:
    try:
        session.send(request)
    except ProtocolError as error:
        raise BakeoffError(f"the question cannot be sent: {error}") from error


def _converse(session: Session, request: dict[str, Any], model: str, loading: Loading) -> Answer:
    load_s = 0.0
    while True:
        loading.look()
        for event in session.poll(0.5):
            match event:
                case Ready():
                    load_s = event.load_s
                    _send(session, request)
                case Response():
                    list(session.close())
                    info = dict(event.info or {})
                    return Answer(event.text, load_s, event.latency_s, event.output_tokens, info, _sum_up(event))
                case Failure():
                    raise ModelFailedError(f"model '{model}' could not answer ({event.kind}): {event.message}")
                case Gone():
                    raise ModelFailedError(f"model '{model}' failed: {event.reason}")


def _sum_up(response: Response) -> Spent:
    row: dict[str, Any] = {"text": response.text}
    take_columns(dict(response.info or {}), row)
    counts = {"input_tokens": response.input_tokens, "output_tokens": response.output_tokens}
    spent = Spent()
    spent.add(row | {name: n for name, n in counts.items() if n is not None})
    return spent
