"""What is typed after `make` reaches the command to the letter."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SAYS_HOW_IT_WAS_CALLED = f"""#!{sys.executable}
import json, sys
print(json.dumps(sys.argv[1:]))
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def make(tmp_path):
    """Return what calls make with a `bakeoff` that prints its arguments; it returns those of each call, and stderr."""
    program = tmp_path / "bin" / "bakeoff"
    program.parent.mkdir()
    program.write_text(SAYS_HOW_IT_WAS_CALLED)
    program.chmod(0o755)
    (tmp_path / ".ready").touch()

    def call(*words):
        command = ["make", "--silent", "--no-print-directory", f"VENV={tmp_path}", *words]
        environment = {**os.environ, "UV_FIND_LINKS": str(tmp_path)}  # or pip is asked for it
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return call


def test_quotes_and_dollars_of_a_value_stay(make):
    params = ['extra_params={"reasoning_effort":"low"}', "who=it's", "path=$HOME/`id`"]
    calls, _ = make("bench", "MODEL=my-api echo", "DATASET=tiny-docs", f"PARAM={' '.join(params).replace('$', '$$')}")
    models = ["--model", "my-api", "--model", "echo"]
    given = [word for param in params for word in ("--param", param)]
    common = ["--dataset", "tiny-docs", "--run", "tiny-docs"]
    assert calls[0] == ["run", *models, "--prompt", "question", *given, *common]
    assert calls[1:] == [["score", "tiny-docs"], ["report", "tiny-docs"]]


def test_why_a_model_failed_is_said_last_below_the_tables(make, tmp_path):
    says = ["import sys", "word = sys.argv[1]", "print(word if word != 'runs' else 'm failed the last time: why')"]
    program = tmp_path / "bin" / "bakeoff"
    program.write_text("\n".join([f"#!{sys.executable}", *says, "sys.exit(3 if word == 'run' else 0)"]))
    command = ["make", "--silent", "--no-print-directory", f"VENV={tmp_path}", "bench"]
    environment = {**os.environ, "UV_FIND_LINKS": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["run", "score", "report"]
    assert done.stderr.splitlines()[0] == "m failed the last time: why"
    assert "Error 3" in done.stderr


def test_a_variable_that_is_none_is_told_and_nothing_is_run(make):
    calls, told = make("bench", "MODELS=echo")
    assert calls == []
    assert "there is no MODELS=; write MODEL=" in told
