"""Prove a runner against the contract: it builds, loads, answers, keeps to the wire and ends when told."""

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orchestrator.config import Model, Workspace, refuse_gaps
from orchestrator.env import ensure_env, use_env
from orchestrator.errors import BakeoffError
from orchestrator.findings import Finding
from orchestrator.protocol import Failure, Response
from orchestrator.running.loading import Loading
from orchestrator.running.worker_spec import make_spec
from orchestrator.session import GRACE_S, Session
from orchestrator.worker_life import Gone

REQUESTS = 3
RUNNER_NAME = "runner.py"
LINE_CHARS = 200


def check_runner(workspace: Workspace, model: Model, notify: Callable[[str], None]) -> Iterator[Finding]:
    """Yield what was tried with `model` in the order of the contract; the first problem is the last finding."""
    refuse_gaps(model, model.params)
    try:
        env = ensure_env(workspace, model.runner, notify)
    except BakeoffError as error:
        yield Finding("environment", "cannot be built", str(error))
        return
    yield Finding("environment", f"built, {len(env.packages)} packages" if env.packages else "nothing to install")
    with use_env(env), tempfile.TemporaryDirectory(prefix="bakeoff-check-") as folder:
        spec = make_spec(workspace, model, env, Path(folder))
        image = _draw_page(Path(folder) / "page.png")
        with Session(spec) as session:
            loading = Loading(session, lambda text: notify(f"{model.name}: {text}"))
            yield from _examine(session, image, loading, model.runner.folder)


def _examine(session: Session, image: Path, watched: Loading, code: Path) -> Iterator[Finding]:
    loading = _wait_for(session, 1, watched)[-1]
    if isinstance(loading, Gone):
        yield Finding("load", "failed", _tell_end(session, loading, code))
        return
    yield Finding("load", f"{loading.load_s:.1f} s, up to {loading.batch_max * loading.concurrency} at a time")
    for number in range(REQUESTS):
        session.send(
            {
                "type": "request",
                "id": f"check-{number}",
                "prompt": f"What is written here? ({number})",
                "images": [{"path": str(image), "sha256": ""}],
            }
        )
    events = _wait_for(session, REQUESTS, watched)
    told: Counter[str] = Counter()
    for event in events:
        match event:
            case Response():
                yield Finding("answer", f"{event.text[:60]!r} in {event.latency_s:.2f} s")
            case Failure():
                told[f"{event.kind}: {event.message}{_place(event, code)}"] += 1
            case Gone():
                yield Finding("answer", "lost", _tell_end(session, event, code))
    for problem, count in told.items():
        yield Finding("answer", f"{count} of {REQUESTS} failed", problem)
    if not isinstance(events[-1], Gone):
        yield _find_end(session)


def _tell_end(session: Session, gone: Gone, code: Path) -> str:
    """Return why the worker ended; where it did not say so itself, with the last lines of its log."""
    if gone.error:
        return f"{gone.reason}{_place(gone.error, code)}"
    return "\n".join([gone.reason, *(f"| {line[:LINE_CHARS]}" for line in session.last_words)])


def _place(failure: Failure, code: Path) -> str:
    """Return where in the runner's own code an exception came from, innermost; else which code it is."""
    if not failure.traceback:
        return ""
    frames = re.findall(r'File ".*?([^/"]+)", line (\d+), in (\S+)', failure.traceback)
    own = [frame for frame in frames if frame[0] == RUNNER_NAME]
    where = "line {}, in {}".format(*own[-1][1:]) if own else "none of its own lines raised it"
    return f" ({code / RUNNER_NAME}, {where})" if own or (code / RUNNER_NAME).is_file() else ""


def _wait_for(session: Session, count: int, watched: Loading) -> list[Any]:
    """Collect `count` events; a `Gone` is the last in any case, and the session's own deadlines bring one."""
    events: list[Any] = []
    while len(events) < count and not any(isinstance(event, Gone) for event in events):
        watched.look()
        events += session.poll(0.5)
    return events


def _find_end(session: Session) -> Finding:
    start = time.monotonic()
    list(session.close())
    took = time.monotonic() - start
    problem = f"it did not end by itself within {GRACE_S:g} s of being told to" if took > GRACE_S else None
    return Finding("end", f"{took:.1f} s", problem)


def _draw_page(path: Path) -> Path:
    from PIL import Image, ImageDraw  # noqa: PLC0415 - only here

    page = Image.new("RGB", (480, 160), "white")
    ImageDraw.Draw(page).text((40, 50), "Total 12.50", fill="black", font_size=40)
    page.save(path)
    return path
