"""Start the runners of tests/runners as real workers, and talk with them."""

import os
import platform
import select
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

from orchestrator.config import Model, get_runner, open_workspace
from orchestrator.env import Env
from orchestrator.running.worker_spec import make_spec
from orchestrator.session import Gone, Ready

RUNNERS = Path(__file__).parent / "runners"
OURS = ".".join(platform.python_version_tuple()[:2])


def make_workspace(root, envs, questions=()):
    """Make a workspace with every test runner, a dataset `words` of `questions` and the prompt `question`."""
    shutil.copytree(RUNNERS, root / "runners", ignore=shutil.ignore_patterns("__pycache__"))
    for manifest in root.glob("runners/*/runner.toml"):
        manifest.write_text(f'python = "{OURS}"\n' + manifest.read_text())
    (root / "bakeoff.toml").touch()
    (root / "envs").symlink_to(envs)
    (root / "prompts").mkdir()
    (root / "prompts" / "question.txt").write_text("{question}\n")
    (root / "datasets").mkdir()
    write_words(root, questions or ("one", "two", "three"))
    return open_workspace(root)


def write_words(root, questions):
    rows = "".join(f"{question},\n" for question in questions)
    (root / "datasets" / "words.csv").write_text("question,answer\n" + rows)


def spec_of(workspace, name, params=None, **changes):
    """Return the specification of a worker of the runner `name`, run by our own interpreter."""
    runner = get_runner(workspace, name)
    python = Path(sys.executable)
    env = Env("none", python, python.parent, locked=False, packages={}, python_version=OURS)
    model = Model(name, runner, {**runner.manifest.defaults, **(params or {})})
    return replace(make_spec(workspace, model, env, workspace.root / "run"), **changes)


def receive(session, count=1):
    """Collect `count` events; a `Gone` is the last in any case."""
    events = []
    while len(events) < count and not any(isinstance(event, Gone) for event in events):
        events += session.poll(0.5)
    return events


def load(session):
    """Wait for the session to be ready, and return the event."""
    (event,) = receive(session)
    assert isinstance(event, Ready), event
    return event


def send(session, *prompts, **more):
    """Send `prompts`, each with itself as its id."""
    for prompt in prompts:
        session.send({"type": "request", "id": prompt, "prompt": prompt, **more})


def ask(session, *prompts, **more):
    """Send `prompts` and return what came for each, by id; a `Gone` under its own name."""
    send(session, *prompts, **more)
    events = receive(session, len(prompts))
    return {"gone" if isinstance(event, Gone) else event.id: event for event in events}


def close(session):
    """Close the session and return what still came."""
    return [event for events in session.close() for event in events]


def wait_until_gone(pid, timeout_s):
    """Wait for a process that need not be our child to end; tell whether it did."""
    if hasattr(os, "pidfd_open"):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([descriptor], [], [], timeout_s)[0])
        finally:
            os.close(descriptor)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False
