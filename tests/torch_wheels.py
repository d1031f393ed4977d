"""Where tests get a build of torch for the CPU: plain torch from a registry brings gigabytes of CUDA with it."""

import os
import subprocess
import sys

import pytest

from orchestrator.config import get_runner
from orchestrator.env import ensure_env
from orchestrator.errors import BakeoffError


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
