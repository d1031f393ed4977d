"""The runner `openai` in its own environment, as a real worker, for the tests that give it an endpoint."""

import json
import tempfile
from contextlib import contextmanager
from dataclasses import replace

from orchestrator.config import Model, get_runner, open_workspace
from orchestrator.env import ensure_env
from orchestrator.running.worker_spec import make_spec
from orchestrator.session import Session
from tests.test_engines import ROOT
from tests.workers import load, receive


def make_repository(root):
    """Make a workspace with the repository's runners, and the environments built so far."""
    (ROOT / "envs").mkdir(exist_ok=True)
    for name in ("runners", "prompts", "envs"):
        (root / name).symlink_to(ROOT / name)
    (root / "datasets").mkdir()
    (root / "bakeoff.toml").touch()
    workspace = open_workspace(root)
    ensure_env(workspace, get_runner(workspace, "openai"), print)
    return workspace


@contextmanager
def worker(workspace, url, **params):
    """Run a worker of the runner with `params` over its defaults."""
    runner = get_runner(workspace, "openai")
    given = {"base_url": url, "model": "m", "api_key_env": "", "backoff_s": 0.01, **params}
    model = Model("m", runner, {**runner.manifest.defaults, **given})
    spec = make_spec(workspace, model, ensure_env(workspace, runner, print), workspace.root / "run")
    memory = tempfile.mkdtemp(dir=workspace.root)  # of accounts; the port of this server may have been another's
    with Session(replace(spec, environment={**spec.environment, "TMPDIR": memory})) as session:
        yield session


def ask_all(session, prompts, images=(), **more):
    """Ask `prompts` all at once; return what came for each."""
    paths = [{"path": str(path), "sha256": ""} for path in images]
    for number, prompt in enumerate(prompts):
        session.send({"type": "request", "id": str(number), "prompt": prompt, "images": paths, **more})
    events = {event.id: event for event in receive(session, len(prompts))}
    return [events[str(number)] for number in range(len(prompts))]


def ask(workspace, url, prompt="hello", images=(), system=None, **params):
    """Ask one question of a worker of its own."""
    with worker(workspace, url, **params) as session:
        load(session)
        return ask_all(session, [prompt], images, system=system)[0]


def said_to(server, prompt):
    """Return the requests with `prompt`."""
    return [r for r in server.requests() if json.dumps(prompt)[1:-1] in json.dumps(r["body"])]
