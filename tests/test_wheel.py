"""The wheel, installed in a bare virtual environment outside the repository, is enough for a workspace of one's own."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow


def call(*command, cwd):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_wheel_makes_a_workspace_and_runs_in_it(tmp_path):
    call(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT, cwd=tmp_path)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    call(python, "-m", "pip", "install", "--quiet", next(tmp_path.glob("bakeoff-*.whl")), cwd=tmp_path)
    bakeoff = tmp_path / "venv/bin/bakeoff"
    call(bakeoff, "init", "mine", cwd=tmp_path)
    mine = tmp_path / "mine"
    assert "rapidocr" in call(bakeoff, "list", "models", cwd=mine)
    assert "5 cells in smoke-set (tiny-docs)" in call(bakeoff, "run", "smoke", "--dry-run", cwd=mine)
    call(bakeoff, "run", "--model", "echo", "--dataset", "tiny-docs", cwd=mine)
    call(bakeoff, "score", "tiny-docs", cwd=mine)
    assert "88/88" in call(bakeoff, "report", "tiny-docs", cwd=mine)
    in_a_notebook = (
        "import orchestrator; print(orchestrator.run(models=['echo'], dataset='tiny-docs').models[0].answered)"
    )
    assert call(python, "-c", in_a_notebook, cwd=mine).strip() == "88"
