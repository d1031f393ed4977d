"""The runners of Hugging Face models: each family's real code, in its own environment, on a tiny checkpoint."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from uv import find_uv_bin

from orchestrator import api
from tests import asked
from tests.tiny import hub
from tests.tiny.squares import COLOURS
from tests.torch_wheels import build_env, call_tiny, torch_workspace

ROOT = Path(__file__).resolve().parent.parent
RUNNERS, TINY = ROOT / "runners", ROOT / "tests" / "tiny"
FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory):
    """Return a workspace with the repository's runners and environments; torch comes as a build for the CPU."""
    models = f'[models.colours]\nrunner = "qwen2_vl"\ncheckpoint = "{COLOURS}"\nmax_new_tokens = 4\n'
    with torch_workspace(tmp_path_factory.mktemp("vlm"), models, 24) as workspace:
        build_env(workspace, "qwen2_vl")
        yield workspace


def python(kitchen, runner):
    return build_env(kitchen, runner).python


@pytest.fixture(scope="session")
def answers(kitchen, tmp_path_factory):
    """Return a function that gives what the tiny model of a family said when asked in every way of ask.py."""
    said = {}

    def of(family):
        if family not in said:
            folder = tmp_path_factory.mktemp(family)
            said[family] = call_tiny(kitchen, family, "ask.py", RUNNERS / family, folder / "tiny", folder)
        return said[family]

    return of


def texts(said):
    return [answer["text"] for answer in said["answers"]]


def test_the_environments_of_the_families_cannot_be_merged(tmp_path, kitchen):
    for name in ("qwen2_vl", "qwen3_vl"):
        (tmp_path / f"{name}.in").write_text((RUNNERS / name / "requirements.txt").read_text())
    command = [find_uv_bin(), "pip", "compile", "-q", "--python-version", "3.11", "qwen2_vl.in", "qwen3_vl.in"]
    union = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert union.returncode != 0
    assert "unsatisfiable" in union.stderr
    alone = subprocess.run(command[:-1], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert alone.returncode == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_batched_greedy_equals_single_greedy_token_for_token_in_float32(answers, family):
    """The controls show that the comparison can fail: other images, or padding on the right, give other tokens."""
    said = answers(family)
    batched = said["batched"]["tokens"]
    assert {answer["info"]["dtype"] for answer in said["batched"]["answers"]} == {"float32"}
    assert said["alone"]["tokens"] == batched
    assert said["mixed alone"]["tokens"] == said["mixed"]["tokens"]  # none, three and one image; a system prompt
    assert len({tuple(row) for row in batched}) == len(batched)
    assert all(a != b for a, b in zip(said["images swapped"]["tokens"], batched, strict=True))
    assert sum(a != b for a, b in zip(said["padded on the right"]["tokens"], batched, strict=True)) >= 2


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_says_how_it_ended_and_what_was_really_sent(answers, family):
    said = answers(family)
    for row, answer in zip(said["batched"]["tokens"], said["batched"]["answers"], strict=True):
        assert answer["output_tokens"] == len(row)
        assert answer["stop_reason"] == ("max_tokens" if len(row) == 12 else "stop")
    short, long = said["batched"]["answers"][0], said["batched"]["answers"][1]
    assert short["input_tokens"] < long["input_tokens"]  # padding is not counted
    assert short["input_tokens"] == said["alone"]["answers"][0]["input_tokens"]
    cell = 32 if family == "qwen3_vl" else 28
    for images in (answer["info"]["images"] for answer in said["mixed"]["answers"]):
        assert all(image["tokens"] == image["width"] * image["height"] / cell**2 for image in images)
    assert [len(answer["info"]["images"]) for answer in said["mixed"]["answers"]] == [0, 3, 1]
    assert all(answer["info"]["served_model"] == "tiny" for answer in said["mixed"]["answers"])


def test_requests_with_differing_parameters_are_asked_apart_and_answered_in_order(answers):
    said = answers("qwen2_5_vl")
    lengths = [answer["output_tokens"] for answer in said["differing"]["answers"]]
    assert lengths[0] == lengths[2] == 3
    assert texts(said["differing"])[1::2] == texts(said["batched"])[1::2]
    assert [answer["info"]["batch_size"] for answer in said["differing"]["answers"]] == [2, 2, 2, 2]


@pytest.mark.parametrize("family", FAMILIES)
def test_sampling_is_passed_through_and_a_seed_repeats_it(answers, family):
    said = answers(family)
    asked.tell_sampling_is_the_rows_own(said)
    asked.tell_a_drawn_seed_is_told(said)


def test_draws_have_the_probabilities_that_sampling_means(kitchen):
    """Each count within five standard deviations of a binomial's; a token that is out is never drawn."""
    for counts, probabilities in call_tiny(kitchen, "qwen3_vl", "draws.py", RUNNERS).values():
        for count, part in zip(counts, probabilities, strict=True):
            assert abs(count - 20_000 * part) <= 5 * (20_000 * part * (1 - part)) ** 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_the_order_of_images_and_the_system_prompt_reach_the_model(answers, family):
    asked.tell_images_and_system_matter(answers(family))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_request_that_cannot_be_asked_costs_the_others_of_its_batch_nothing(answers, family):
    asked.tell_others_lose_nothing(answers(family), 4096)


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl"])
def test_a_checkpoint_that_lacks_something_is_one_sentence_before_it_is_asked(kitchen, tmp_path, family):
    said = call_tiny(kitchen, family, "damaged.py", RUNNERS / family, tmp_path / "tiny", tmp_path)
    asked.tell_lacks_are_told(said, {**asked.LACKS, "no template": "has no chat template", "odd bounds": "min_pixels"})


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_family_cannot_take_is_bad_input(answers, family):
    """A prompt that holds the token of an image, and an image too thin for a grid of patches."""
    for way in ("placeholder", "thin", "flat", "narrow", "dot"):
        assert [answer["kind"] for answer in answers(family)[way]["answers"]] == ["bad_input"]


@pytest.mark.parametrize("family", FAMILIES)
def test_out_of_memory_halves_the_batch_and_a_lost_device_is_told(answers, family):
    asked.tell_memory_is_noted(answers(family))


def test_a_full_device_is_told_from_a_lost_one_by_what_is_raised(kitchen):
    """Each pair says whether it is full, and whether it is lost; the full one is looked for first."""
    said = call_tiny(kitchen, "qwen3_vl", "failing.py", RUNNERS)
    assert [name for name, told in said.items() if told is not False and told is not True and told[0]] == [
        *("out of memory", "no memory for a kernel", "no memory for cuBLAS")
    ]
    assert said["illegal access"] == said["a library's error, device gone"] == [False, True]
    assert said["a library's error"] == said["a mistake"] == [False, False]
    assert (said["without CUDA"], said["poisoned"]) == (True, False)


def rows_of(outcome, model):
    assert [m.error for m in outcome.models] == [None]
    return pq.read_table(outcome.folder / "predictions" / f"{model}.parquet").to_pylist()


def test_a_trained_checkpoint_answers_every_question_right_through_a_whole_run(kitchen):
    outcome = api.run(models=["colours"], dataset="squares", name="right", workspace=kitchen)
    rows = rows_of(outcome, "colours")
    assert {row["stop_reason"] for row in rows} == {"stop"}
    api.score(outcome.folder)
    summary = json.loads((outcome.folder / "summary.json").read_text())
    (exact,) = (f for f in summary["figures"] if f["metric"] == "exact" and f["group"] == "all")
    assert (exact["n_scored"], exact["n_total"], exact["mean"]) == (24, 24, 1.0)


def test_a_run_answers_alike_whatever_the_size_of_its_batches(kitchen, tmp_path):
    """The prompt is one that the checkpoint was not trained on, so that its answers are long and differ."""
    (tmp_path / "loud.txt").write_text("What do you see? {question}")
    said = {}
    for size in (1, 4):
        folder = tmp_path / str(size)
        shutil.copytree(kitchen.root, folder, symlinks=True, ignore=shutil.ignore_patterns("runners", "results"))
        for name in ("_shared", "_vlm", "qwen2_vl"):
            shutil.copytree(RUNNERS / name, folder / "runners" / name)
        told = folder / "runners" / "qwen2_vl" / "runner.toml"
        told.write_text(re.sub("^batch_max = .*", f"batch_max = {size}", told.read_text(), flags=re.MULTILINE))
        outcome = api.run(
            models=["colours"],
            dataset="squares",
            prompts=[str(tmp_path / "loud.txt")],
            limit=8,
            params={"max_new_tokens": 12},
            workspace=folder,
        )
        rows = rows_of(outcome, "colours")
        assert max(row["batch_size"] for row in rows) == size
        said[size] = {row["sample_id"]: (row["text"], row["output_tokens"], row["input_tokens"]) for row in rows}
    assert said[1] == said[4]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bounds_on_pixels_decide_what_is_sent(answers, family):
    said, cell = answers(family), 32 if family == "qwen3_vl" else 28
    own, shrunk = ([a["info"]["images"][0] for a in said[way]["answers"]] for way in ("batched", "shrunk"))
    assert max(image["tokens"] for image in own) > 6
    assert all(image["width"] * image["height"] <= 6 * cell**2 for image in shrunk)
    assert said["unshrinkable"]["answers"][0]["kind"] == "bad_params"
    (large,) = said["large"]["answers"]
    assert 50 < large["info"]["images"][0]["tokens"] <= 64  # the bound that the checkpoint names


def test_the_contract_is_kept_with_a_checkpoint_of_ones_own(kitchen):
    findings = list(api.check_runner("colours", kitchen))
    assert [finding for finding in findings if finding.problem] == []
    assert len(findings) == 6


@pytest.mark.parametrize("runner", ["qwen2_vl", "qwen3_vl"])
def test_a_checkpoint_of_the_hub_is_fetched_once_and_found_offline(kitchen, tmp_path, runner):
    """Two generations of the hub's library; torch is not imported before the checkpoint is there."""
    home = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": ""}
    with hub.serve(COLOURS) as (address, asked):
        fetched = call_tiny(
            kitchen, runner, "find.py", RUNNERS / runner, "org/tiny", "main", HF_ENDPOINT=address, **home
        )
        assert (Path(fetched["folder"]) / "model.safetensors").read_bytes() == (
            COLOURS / "model.safetensors"
        ).read_bytes()
        assert not fetched["torch"]
        assert any("resolve" in path for path in asked)
    gone = {**home, "HF_ENDPOINT": address}
    for environment in (gone, {**gone, "HF_HUB_OFFLINE": "1"}):
        found = call_tiny(kitchen, runner, "find.py", RUNNERS / runner, "org/tiny", "main", **environment)
        assert found["folder"] == fetched["folder"]


@pytest.mark.parametrize("runner", ["qwen2_vl", "qwen3_vl"])
@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (401, "RepoNotFound", "bad_params", "the hub shows no checkpoint 'org/tiny'"),
        (403, "GatedRepo", "bad_params", "log in with HF_TOKEN"),
        (404, "RevisionNotFound", "bad_params", "--param revision=main"),
        (503, "", "transient", "the hub answered 503"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(kitchen, tmp_path, runner, status, code, kind, words):
    home = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": ""}
    with hub.serve(status=status, error_code=code) as (address, asked):
        said = call_tiny(kitchen, runner, "find.py", RUNNERS / runner, "org/tiny", "v1", HF_ENDPOINT=address, **home)
    assert said["kind"] == kind
    assert words in said["sentence"]
    assert "\n" not in said["sentence"]
    is_known = code in ("GatedRepo", "RevisionNotFound")
    assert (f"there is no folder {Path.cwd() / 'org' / 'tiny'}" in said["sentence"]) != is_known
    assert len([path for path in asked if "org/tiny" in path]) == 1


def test_damaged_weights_are_one_sentence(kitchen, tmp_path):
    shutil.copytree(COLOURS, tmp_path / "half")
    with (tmp_path / "half" / "model.safetensors").open("r+b") as file:
        file.truncate(300_000)
    params = {"checkpoint": str(tmp_path / "half")}
    outcome = api.run(models=["colours"], dataset="squares", name="half", params=params, workspace=kitchen)
    (model,) = outcome.models
    assert "'half' cannot be loaded: " in model.error
    assert "\n" not in model.error


@pytest.mark.parametrize("environment", [{"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}])
def test_without_the_hub_a_run_ends_in_seconds_and_says_what_to_do(kitchen, tmp_path, monkeypatch, environment):
    """It is what `make bench MODEL=qwen2-vl-2b` meets on a machine without network."""
    python(kitchen, "qwen2_vl")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name, value in {"HF_HUB_OFFLINE": "", **environment}.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "orchestrator", "run", "--model", "qwen2-vl-2b", "--dataset", "squares"]
    start = time.monotonic()
    done = subprocess.run(
        [*command, "--run", "no-hub"],
        cwd=kitchen.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert time.monotonic() - start < 30
    assert done.returncode == 3
    assert "'Qwen/Qwen2-VL-2B-Instruct' cannot be fetched" in done.stderr
    assert "--param checkpoint=FOLDER (in a set: params of the model), log in with HF_TOKEN, or pick" in done.stderr
    assert "Traceback" not in done.stderr
