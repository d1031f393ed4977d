"""`bakeoff list`: what it says of each thing that can be named."""

import shutil

import pytest

from tests.compared_runs import GOOD, run_of

MANIFEST = """
python = "3.11"
description = "Says little."
[defaults]
checkpoint = ""
size = 3
[models.plain]
[models.loads]
checkpoint = "org/model-7b"
size = 4
[models.sized]
size = 4
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    (tmp_path / "bakeoff.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_is_told_by_what_tells_it_from_others_of_its_runner(workspace, bakeoff):
    folder = workspace / "runners" / "mine"
    folder.mkdir(parents=True)
    (folder / "runner.toml").write_text(MANIFEST)
    (folder / "requirements.txt").touch()
    (folder / "runner.py").touch()
    code, out, _ = bakeoff("list", "models")
    told = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert code == 0
    assert {name: told[name] for name in ("plain", "loads", "sized")} == {
        "plain": "runner mine: Says little.",
        "loads": "runner mine: org/model-7b",
        "sized": "runner mine: size=4",
    }


def test_a_run_is_listed_under_the_name_of_its_folder(workspace, bakeoff):
    run = run_of(workspace, "before", GOOD)
    for name in ("before", "copy"):
        shutil.copytree(run, workspace / "results" / name)
    assert [line.split()[0] for line in bakeoff("list", "runs")[1].splitlines()] == ["before", "copy"]
