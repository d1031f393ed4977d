"""The real engines, each in its own environment from the package registry, on documents."""

import json
import os
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from uv import find_uv_bin

from orchestrator import api
from orchestrator.config import Workspace, open_workspace

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
HAS_TESSDATA = "TESSDATA_PREFIX" in os.environ or any(Path("/usr/share").glob("tesseract-ocr/*/tessdata/rus.*"))

pytestmark = pytest.mark.slow
needs_tessdata = pytest.mark.skipif(not HAS_TESSDATA, reason="Tesseract's language data are not installed")


@pytest.fixture
def repository(tmp_path) -> Workspace:
    """Return the repository's own workspace, with results of its own and the environments built so far."""
    for name in ("runners", "prompts", "datasets"):
        (tmp_path / name).symlink_to(ROOT / name)
    (ROOT / "envs").mkdir(exist_ok=True)
    (tmp_path / "envs").symlink_to(ROOT / "envs")
    (tmp_path / "bakeoff.toml").touch()
    return open_workspace(tmp_path)


def figures(run, metric, group, **wanted):
    summary = json.loads((run / "summary.json").read_text())
    found = [f for f in summary["figures"] if f["metric"] == metric and f["group"] == group]
    return [f for f in found if all(f[name] == value for name, value in wanted.items())]


def test_the_two_engines_cannot_be_installed_together(tmp_path):
    for name in ("rapidocr", "tesseract"):
        (tmp_path / f"{name}.in").write_text((ROOT / "runners" / name / "requirements.txt").read_text())
    command = [find_uv_bin(), "pip", "compile", "-q", "--python-version", "3.11", "rapidocr.in", "tesseract.in"]
    union = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert union.returncode != 0
    assert "unsatisfiable" in union.stderr


@needs_tessdata
def test_both_engines_run_in_one_command_each_in_its_own_environment(repository):
    outcome = api.run(models=["rapidocr", "tesseract"], dataset="tiny-docs", limit=16, workspace=repository)
    assert [model.error for model in outcome.models] == [None, None]
    envs = json.loads((outcome.folder / "run.json").read_text())["envs"]
    assert envs["rapidocr"]["packages"]["pillow"] != envs["tesseract"]["packages"]["pillow"]
    assert all(env["locked"] for env in envs.values())
    api.score(outcome.folder)
    for model, limit in (("rapidocr", 0.05), ("tesseract", 0.25)):
        (read,) = figures(outcome.folder, "cer_span", "all", model=model)
        assert (read["n_scored"], read["n_total"]) == (16, 16)
        assert read["mean"] < limit


def test_an_engine_says_where_it_read_and_how_surely(repository):
    outcome = api.run(models=["rapidocr"], dataset="tiny-docs", limit=1, workspace=repository)
    (row,) = pq.read_table(outcome.folder / "predictions" / "rapidocr.parquet").to_pylist()
    info = json.loads(row["info"])
    assert len(info["boxes"]) == len(info["confidences"]) == len(info["texts"])
    assert "THE PAPER LANTERN" in row["text"]


@needs_tessdata
def test_russian_is_read_by_tesseract_and_not_by_rapidocr(repository):
    run = api.run(models=["rapidocr", "tesseract"], dataset="tiny-docs", workspace=repository).folder
    api.score(run)
    by_class = {"group": "doc_class", "doc_class": "id ru"}
    (rapidocr,) = figures(run, "cer_span", model="rapidocr", **by_class)
    (tesseract,) = figures(run, "cer_span", model="tesseract", **by_class)
    assert tesseract["mean"] < 0.1
    assert rapidocr["mean"] > 0.4


@pytest.mark.skipif(not DATA.is_dir(), reason="the letters are not beside the repository")
def test_typed_lines_of_real_letters_are_read_at_a_corpus_cer_below_a_tenth(repository):
    run = api.run(
        models=["rapidocr"], prompts=["transcribe"], dataset=str(DATA / "letters"), workspace=repository
    ).folder
    api.score(run)
    (typed,) = figures(run, "cer", "doc_class", doc_class="typed line")
    assert typed["n_scored"] == 29
    assert typed["corpus"] < 0.1
