"""Where tests get a build of torch for the CPU: plain torch from a registry brings gigabytes of CUDA with it."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.config import get_runner, open_workspace
from orchestrator.env import ensure_env
from orchestrator.errors import BakeoffError
from tests.tiny.squares import write_squares

ROOT = Path(__file__).resolve().parent.parent
TINY = ROOT / "tests" / "tiny"


def find_wheels():
    """Return the folders of wheels that uv or pip is told of, with commas between, or nothing."""
    told = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS")
    if told is None:
        command = [sys.executable, "-m", "pip", "config", "get", "global.find-links"]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return ",".join(told.replace(",", " ").split())


def build_env(workspace, runner):
    """Return a runner's environment; skip the test where there are no wheels and torch's own index is out of reach."""
    try:
        return ensure_env(workspace, get_runner(workspace, runner), lambda _: None)
    except BakeoffError as error:
        if find_wheels():
            raise
        pytest.skip(f"no build of torch for the CPU can be had here: {error}")


@contextmanager
def torch_workspace(root, models, samples):
    """Yield a workspace with the repository's runners and environments, `models` and the dataset of squares."""
    for name in ("runners", "prompts"):
        (root / name).symlink_to(ROOT / name)
    (ROOT / "envs").mkdir(exist_ok=True)
    (root / "envs").symlink_to(ROOT / "envs")
    wheels = find_wheels()
    (root / "bakeoff.toml").write_text(("" if wheels else '[settings]\ntorch_backend = "cpu"\n') + models)
    write_squares(root / "datasets" / "squares", samples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_FIND_LINKS", wheels)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield open_workspace(root)


def call_tiny(workspace, runner, script, *arguments, **environment):
    """Run a script of tests/tiny by the Python of a runner's environment, and return its last line's JSON, if any."""
    command = [build_env(workspace, runner).python, TINY / script, *arguments]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None
