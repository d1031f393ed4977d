"""LLaVA on the stack of its day: its real code on tiny checkpoints, and beside newer stacks in one command."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from uv import find_uv_bin

from orchestrator import api
from tests import asked
from tests.tiny.squares import COLOURS
from tests.torch_wheels import call_tiny, torch_workspace

ROOT = Path(__file__).resolve().parent.parent
RUNNERS, TINY = ROOT / "runners", ROOT / "tests" / "tiny"
FAMILIES = ("llava", "llava_next")
STACKS = {"llava": "4.44.2", "qwen2_vl": "4.57.6", "qwen3_vl": "5.18.0"}
MODELS = """
[models.old]
runner = "llava"
checkpoint = "checkpoints/llava"
max_new_tokens = 12

[models.old-next]
runner = "llava"
checkpoint = "checkpoints/llava_next"
max_new_tokens = 12

[models.newer]
runner = "qwen2_vl"
checkpoint = "checkpoints/colours"
max_new_tokens = 4

[models.newest]
runner = "qwen3_vl"
checkpoint = "checkpoints/qwen3_vl"
max_new_tokens = 4
"""

slow = pytest.mark.slow


@pytest.fixture(scope="session")
def stacks(tmp_path_factory):
    """Return a workspace with models of three stacks, and the repository's environments."""
    with torch_workspace(tmp_path_factory.mktemp("stacks"), MODELS, 8) as workspace:
        folder = workspace.root / "checkpoints"
        folder.mkdir()
        (folder / "colours").symlink_to(COLOURS)
        for runner, family in (("llava", "llava"), ("llava", "llava_next"), ("qwen3_vl", "qwen3_vl")):
            call_tiny(workspace, runner, "build.py", family, folder / family)
        yield workspace


@pytest.fixture(scope="session")
def answers(stacks, tmp_path_factory):
    """Return a function that gives what a tiny model said when asked by a script of tests/tiny."""
    said = {}

    def of(family, script="ask.py"):
        if (family, script) not in said:
            checkpoint, folder = stacks.root / "checkpoints" / family, tmp_path_factory.mktemp(family)
            said[family, script] = call_tiny(stacks, "llava", script, RUNNERS / "llava", checkpoint, folder)
        return said[family, script]

    return of


def test_every_model_has_a_pinned_commit():
    models = tomllib.loads((RUNNERS / "llava" / "runner.toml").read_text())["models"]
    assert len(models) == 4
    assert all(re.fullmatch("[0-9a-f]{40}", model["revision"]) for model in models.values())


def resolve(folder, *runners):
    files = [folder / f"{runner}.in" for runner in runners]
    for runner, file in zip(runners, files, strict=True):
        file.write_text((RUNNERS / runner / "requirements.txt").read_text())
    command = [find_uv_bin(), "pip", "compile", "-q", "--python-version", "3.11", *files]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@slow
@pytest.mark.parametrize("others", [("qwen2_vl",), ("qwen3_vl",), ("qwen2_vl", "qwen3_vl")])
def test_the_old_stack_cannot_be_merged_with_newer_ones(tmp_path, stacks, others):
    union = resolve(tmp_path, "llava", *others)
    assert union.returncode != 0
    assert "unsatisfiable" in union.stderr


@slow
@pytest.mark.parametrize("runner", STACKS)
def test_each_stack_can_be_installed_by_itself(tmp_path, stacks, runner):
    alone = resolve(tmp_path, runner)
    assert alone.returncode == 0
    assert f"transformers=={STACKS[runner]}\n" in alone.stdout


@slow
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


@slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_answers_are_those_of_the_library_itself(answers, family):
    """Images are put into the prompt here, before the first step; transformers 4.44 does it within the model."""
    said = answers(family, "legacy.py")
    assert said["ours"] == said["own"]
    assert len({tuple(row) for row in said["own"]}) == len(said["own"])


@slow
@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_says_how_it_ended_and_what_was_really_sent(answers, family):
    said = answers(family)
    for row, answer in zip(said["batched"]["tokens"], said["batched"]["answers"], strict=True):
        assert answer["output_tokens"] == len(row)
        assert answer["stop_reason"] == ("max_tokens" if len(row) == 12 else "stop")
    none, three, one = (answer["info"]["images"] for answer in said["mixed"]["answers"])
    assert (len(none), len(three), len(one)) == (0, 3, 1)
    question = "USER: What is it? ASSISTANT:"  # a token is a byte here; one more begins the prompt
    visual = sum(image["tokens"] + len("\n") for image in three)
    assert said["mixed"]["answers"][1]["input_tokens"] == 1 + len(question) + visual
    assert said["batched"]["answers"][0]["input_tokens"] == said["alone"]["answers"][0]["input_tokens"]


@slow
def test_llava_is_shown_the_middle_of_a_page_or_all_of_it(answers):
    """Pages of 96 x 64, 150 x 200, 64 x 128 and 220 x 90 pixels."""
    said = answers("llava", "legacy.py")
    cropped = [answer["info"]["images"][0] for answer in answers("llava")["batched"]["answers"]]
    padded = [answer["info"]["images"][0] for answer in said["padded"]["answers"]]
    assert [image["kept"] for image in cropped] == [0.6667, 0.75, 0.5, 0.4091]
    assert [image["kept"] for image in padded] == [1.0] * 4
    assert all((image["width"], image["height"], image["tokens"]) == (56, 56, 16) for image in cropped + padded)
    assert said["padded"]["tokens"] == said["padded by hand"]
    assert said["padded"]["tokens"] != said["ours"]
    refused = {"kind": "bad_params", "sentence": "fit = 'stretch': expected one of crop, pad"}
    assert said["stretched"]["answers"] == [refused] * 4


@slow
def test_llava_next_is_shown_all_of_a_page_in_tiles(answers):
    """16 tokens for the page as a whole, then one for each 14 x 14 pixels of it, and one for each line's end."""
    shown = [answer["info"]["images"][0] for answer in answers("llava_next")["batched"]["answers"]]
    assert [(image["width"], image["height"]) for image in shown] == [(112, 84), (84, 112), (56, 112), (112, 56)]
    for image in shown:
        rows, columns = image["height"] // 14, image["width"] // 14
        assert image["tokens"] == 16 + rows * (columns + 1)


@slow
def test_a_checkpoint_without_a_chat_template_is_asked_in_its_familys_form(answers):
    prompts = answers("llava", "legacy.py")["prompts"]
    assert prompts["llama"] == "Be brief. USER: <image>\n<image>\nWhat is it? ASSISTANT:"
    assert prompts["mistral"] == "<<SYS>>\nBe brief.\n<</SYS>>\n\n[INST] <image>\n<image>\nWhat is it? [/INST]"
    assert prompts["gpt2"] == "'bare' has no chat template, and this runner has none for a LLaVA on gpt2"


@slow
@pytest.mark.parametrize("family", FAMILIES)
def test_sampling_is_passed_through_and_a_seed_repeats_it(answers, family):
    said = answers(family)
    asked.tell_sampling_is_the_rows_own(said)
    asked.tell_a_drawn_seed_is_told(said)


@slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_order_of_images_and_the_system_prompt_reach_the_model(answers, family):
    asked.tell_images_and_system_matter(answers(family))


@slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_request_that_cannot_be_asked_costs_the_others_of_its_batch_nothing(answers, family):
    asked.tell_others_lose_nothing(answers(family), 2048)


@slow
def test_a_checkpoint_that_lacks_something_is_one_sentence_before_it_is_asked(stacks, tmp_path):
    checkpoint = stacks.root / "checkpoints" / "llava"
    said = call_tiny(stacks, "llava", "damaged.py", RUNNERS / "llava", checkpoint, tmp_path)
    lacks = {**asked.LACKS, "an odd fit": "fit = 'stretch': expected one of crop, pad"}
    lacks["a tensor of another shape"] = "'a tensor of another shape' cannot be loaded: Trying to set a tensor of shape"
    del lacks["a broken template"]  # it is not where this release looks first
    asked.tell_lacks_are_told(said, lacks)


@slow
@pytest.mark.parametrize("family", FAMILIES)
def test_what_goes_wrong_has_its_kind(answers, family):
    said = answers(family)
    for way in ("placeholder", "thin", "flat", "narrow", "dot"):
        assert [answer["kind"] for answer in said[way]["answers"]] == ["bad_input"]
    asked.tell_memory_is_noted(said)


@slow
def test_a_tokenizer_saved_by_a_newer_release_is_read(answers):
    """The checkpoints on the hub have such a one, and the old release by itself gives up."""
    said = answers("llava", "legacy.py")["newer"]
    assert "untagged enum ModelWrapper" in said["library"]
    assert said["ours"] == ["U", "SE", "R"]


def rows_of(outcome, model):
    assert [m.error for m in outcome.models] == [None] * len(outcome.models)
    return pq.read_table(outcome.folder / "predictions" / f"{model}.parquet").to_pylist()


@slow
def test_a_run_answers_alike_whatever_the_size_of_its_batches(stacks, tmp_path):
    said = {}
    for size in (1, 4):
        folder = tmp_path / str(size)
        shutil.copytree(stacks.root, folder, symlinks=True, ignore=shutil.ignore_patterns("runners", "results"))
        for name in ("_shared", "_vlm", "llava"):
            shutil.copytree(RUNNERS / name, folder / "runners" / name)
        told = folder / "runners" / "llava" / "runner.toml"
        told.write_text(re.sub("^batch_max = .*", f"batch_max = {size}", told.read_text(), flags=re.MULTILINE))
        outcome = api.run(models=["old-next"], dataset="squares", workspace=folder)
        rows = rows_of(outcome, "old-next")
        assert max(row["batch_size"] for row in rows) == size
        said[size] = {row["sample_id"]: (row["text"], row["output_tokens"]) for row in rows}
    assert said[1] == said[4]
    assert len(set(said[1].values())) > 4


@slow
def test_one_command_runs_models_of_three_stacks(stacks):
    models = {"old": "llava", "newer": "qwen2_vl", "newest": "qwen3_vl"}
    chosen = [word for model in models for word in ("--model", model)]
    command = [sys.executable, "-m", "orchestrator", "run", *chosen, "--dataset", "squares", "--run", "three"]
    done = subprocess.run(
        command,
        cwd=stacks.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run = stacks.root / "results" / "three"
    envs = json.loads((run / "run.json").read_text())["envs"]
    assert {runner: env["packages"]["transformers"] for runner, env in envs.items()} == STACKS
    for model in models:
        rows = pq.read_table(run / "predictions" / f"{model}.parquet").to_pylist()
        assert [row["status"] for row in rows] == ["ok"] * 8
        assert len({row["text"] for row in rows}) > 1
    right = pq.read_table(run / "predictions" / "newer.parquet").to_pylist()
    assert {row["text"] for row in right} <= set("ABCD")
