"""One tiny checkpoint asked through every route: our runners, and servers that nobody here wrote.

vLLM's routes take a rebuild of it for CPUs by a third party, an environment of 3 GB, and minutes: they are asked only
where BAKEOFF_TEST_VLLM=1 says so.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator import api
from orchestrator.config import open_workspace
from tests.servers import foreign
from tests.tiny.squares import COLOURS, write_squares
from tests.torch_wheels import build_env, find_wheels

ROOT = Path(__file__).resolve().parent.parent
RUNNERS, SERVERS = ROOT / "runners", ROOT / "tests" / "servers"
ENVS = ROOT / "envs" / ".tests"  # of their own: some hold what is for tests only
WHEELS = find_wheels()
SAMPLES = 24
MODEL = """
[models.{checkpoint}-{route}]
runner = "{runner}"
max_new_tokens = {tokens}
{settings}
"""
OFFLINE = 'dtype = "float32"\nmax_model_len = 2048\nkv_cache_gb = 0.5\n'

pytestmark = pytest.mark.slow
needs_vllm = pytest.mark.skipif(
    os.environ.get("BAKEOFF_TEST_VLLM") != "1", reason="vLLM for CPUs takes 3 GB and minutes: set BAKEOFF_TEST_VLLM=1"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a workspace with the runners that are routes, and the server's environment beside theirs."""
    root = tmp_path_factory.mktemp("agree")
    ENVS.mkdir(parents=True, exist_ok=True)
    (root / "envs").symlink_to(ENVS)
    (root / "prompts").symlink_to(ROOT / "prompts")
    (root / "runners").mkdir()
    ours = [RUNNERS / name for name in ("_shared", "_vlm", "_vllm", "qwen2_vl", "openai", "vllm_cpu")]
    for folder in (*ours, SERVERS / "transformers_serve"):
        (root / "runners" / folder.name).symlink_to(folder)
    (root / "bakeoff.toml").write_text("" if WHEELS else '[settings]\ntorch_backend = "cpu"\n')
    (root / "excluded.txt").write_text("torchaudio\ntorchcodec\n")  # CUDA builds, which break vLLM's import
    write_squares(root / "datasets" / "squares", SAMPLES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_FIND_LINKS", WHEELS)
        if WHEELS:
            patch.setenv("UV_EXCLUDE", str(root / "excluded.txt"))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        workspace = open_workspace(root)
        build_env(workspace, "qwen2_vl")
        yield workspace


def env_of(place, runner):
    return foreign.prepare(build_env(place, runner), WHEELS)


@pytest.fixture(scope="module")
def checkpoints(place, tmp_path_factory):
    """Return the trained checkpoint, and one of the same make with random weights."""
    random = tmp_path_factory.mktemp("random") / "checkpoint"
    python = build_env(place, "qwen2_vl").python
    subprocess.run([python, SERVERS / "scramble.py", COLOURS, random], check=True, capture_output=True, timeout=300)
    return {"trained": COLOURS, "random": random}


@pytest.fixture(scope="module")
def transformers_server(place, tmp_path_factory):
    log = tmp_path_factory.mktemp("serve") / "log"
    with foreign.serve_transformers(env_of(place, "transformers_serve"), log) as address:
        yield address


def add_model(place, checkpoint, route, runner, settings):
    """Put a model into bakeoff.toml, and return its name."""
    tokens = 4 if checkpoint == "trained" else 12
    with (place.root / "bakeoff.toml").open("a") as file:
        text = MODEL.format(checkpoint=checkpoint, route=route, runner=runner, tokens=tokens, settings=settings)
        file.write(text)
    return f"{checkpoint}-{route}"


def add_server(place, checkpoint, route, address, folder):
    settings = f'base_url = "{address}"\nmodel = "{folder}"\napi_key_env = ""\n'
    return add_model(place, checkpoint, route, "openai", settings)


def ask(place, checkpoint, models, **options):
    """Return what each model said, by sample: text, input tokens and output tokens; all in one run."""
    outcome = api.run(models=models, dataset="squares", name=checkpoint, workspace=place.root, **options)
    assert [model.error for model in outcome.models] == [None] * len(models)
    api.score(outcome.folder)
    return {model: read_answers(outcome.folder / "predictions" / f"{model}.parquet") for model in models}


def read_answers(path):
    rows = pq.read_table(path).to_pylist()
    assert {row["status"] for row in rows} == {"ok"}
    return {row["sample_id"]: (row["text"], row["input_tokens"], row["output_tokens"]) for row in rows}


def shares_right(folder):
    """Return (n scored, n total, mean of `exact`) of each model."""
    figures = json.loads((folder / "summary.json").read_text())["figures"]
    return {
        figure["model"]: (figure["n_scored"], figure["n_total"], figure["mean"])
        for figure in figures
        if figure["metric"] == "exact" and figure["group"] == "all"
    }


def without_marks(answers):
    """Take out what only some routes show: special tokens, blanks around the answer, a character cut in two at its end.

    `transformers serve` shows the first and strips the second; vLLM leaves the last out.
    """
    plain = {sample: re.sub(r"<\|\w+\|>", "", text) for sample, (text, *_) in answers.items()}
    return {sample: (plain[sample].strip().rstrip("\ufffd"), *counts) for sample, (_, *counts) in answers.items()}


@pytest.fixture(scope="module")
def vllm_said(place, tmp_path_factory):
    """Return what the offline runner answered when asked in every way of ask_vllm.py."""
    python = env_of(place, "vllm_cpu").python
    command = [python, SERVERS / "ask_vllm.py", RUNNERS / "vllm_cpu", COLOURS, tmp_path_factory.mktemp("squares")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def add_here_and_served(place, checkpoint, folder, address):
    return [
        add_model(place, checkpoint, "here", "qwen2_vl", f'checkpoint = "{folder}"\n'),
        add_server(place, checkpoint, "served", address, folder),
    ]


def test_the_trained_checkpoint_is_right_here_and_through_transformers_serve(place, checkpoints, transformers_server):
    models = add_here_and_served(place, "trained", checkpoints["trained"], transformers_server)
    here, served = ask(place, "trained", models).values()
    assert here == served
    assert len({text for text, *_ in here.values()}) == 4
    assert shares_right(place.results / "trained") == dict.fromkeys(models, (SAMPLES, SAMPLES, 1.0))


def test_random_weights_give_the_same_text_here_and_through_transformers_serve(place, checkpoints, transformers_server):
    models = add_here_and_served(place, "random", checkpoints["random"], transformers_server)
    here, served = ask(place, "random", models).values()
    assert without_marks(here) == without_marks(served)
    assert len({text for text, *_ in here.values()}) > SAMPLES / 2


@needs_vllm
@pytest.mark.parametrize("checkpoint", ["trained", "random"])
def test_vllm_gives_the_same_text_offline_and_as_a_server(place, checkpoints, tmp_path, checkpoint):
    folder = checkpoints[checkpoint]
    here = add_model(place, checkpoint, "beside-vllm", "qwen2_vl", f'checkpoint = "{folder}"\n')
    offline = add_model(place, checkpoint, "offline", "vllm_cpu", f'checkpoint = "{folder}"\n{OFFLINE}')
    with foreign.serve_vllm(env_of(place, "vllm_cpu"), folder, tmp_path / "log") as address:
        models = [here, offline, add_server(place, checkpoint, "vllm", address, folder)]
        said = ask(place, checkpoint, models)
    assert without_marks(said[offline]) == without_marks(said[here])
    assert said[models[2]] == said[offline]
    if checkpoint == "trained":
        right = shares_right(place.results / checkpoint)
        assert {right[model] for model in models} == {(SAMPLES, SAMPLES, 1.0)}


@needs_vllm
def test_a_chat_with_an_example_is_the_same_text_in_transformers_and_vllm(place, checkpoints):
    folder = checkpoints["random"]
    here = add_model(place, "random", "chat-here", "qwen2_vl", f'checkpoint = "{folder}"\n')
    offline = add_model(place, "random", "chat-offline", "vllm_cpu", f'checkpoint = "{folder}"\n{OFFLINE}')
    (place.root / "chats").mkdir()
    shutil.copy(place.root / "datasets" / "squares" / "images" / "0.png", place.root / "chats" / "0.png")
    chat = place.root / "chats" / "chat.yaml"
    chat.write_text(
        'turns:\n  - user:\n      - image: 0.png\n      - Colour?\n  - assistant: A\n  - user: "{question}"\n'
    )
    said = ask(place, "chats", [here, offline], prompts=[str(chat)])
    assert without_marks(said[offline]) == without_marks(said[here])
    plain = ask(place, "plain", [here])[here]
    assert min(said[here][sample][1] - tokens for sample, (_, tokens, _) in plain.items()) > 0


def texts(said):
    return [answer["text"] for answer in said["answers"]]


@needs_vllm
def test_offline_vllm_answers_in_order_and_says_what_was_sent(vllm_said):
    assert texts(vllm_said["together"]) == texts(vllm_said["again"]) == list("ABCD")
    assert texts(vllm_said["alone"]) == ["A"]
    first = vllm_said["together"]["answers"][0]
    assert (first["stop_reason"], first["output_tokens"], first["info"]["served_model"]) == ("stop", 2, "colours")
    for way in ("together", "again", "mixed", "enlarged"):
        images = [image for answer in vllm_said[way]["answers"] for image in answer["info"]["images"]]
        assert all(image["tokens"] == image["width"] * image["height"] / 28**2 for image in images)
    assert [len(answer["info"]["images"]) for answer in vllm_said["mixed"]["answers"]] == [0, 3, 1]
    assert vllm_said["enlarged"]["answers"][0]["info"]["images"][0]["tokens"] >= 36


@needs_vllm
def test_parameters_of_a_request_reach_vllm(vllm_said):
    assert vllm_said["one token"]["answers"][0]["stop_reason"] == "max_tokens"
    assert texts(vllm_said["stopped"]) == [""]
    assert texts(vllm_said["loud"]) != [""]
    assert vllm_said["sampled"] == vllm_said["sampled again"]
    assert vllm_said["sampled"] != vllm_said["loud"]
    assert vllm_said["sampled once more"] != vllm_said["sampled"]
    for way in ("misspelt", "cold"):
        assert vllm_said[way]["answers"][0]["kind"] == "bad_params"


@needs_vllm
def test_what_vllm_cannot_take_is_bad_input_and_leaves_nothing_behind(vllm_said):
    ways = ("a broken image", "a thin image", "four images", "too long", "a placeholder")
    refused = {way: vllm_said[way]["answers"][-1] for way in ways}
    assert {way: answer["kind"] for way, answer in refused.items()} == dict.fromkeys(ways, "bad_input")
    assert all("\n" not in answer["sentence"] for answer in refused.values())
    for way in ("a broken image", "too long"):  # the others of the batch lose nothing
        assert texts({"answers": vllm_said[way]["answers"][:3]}) == list("ABC")
    assert vllm_said["after errors"] == vllm_said["together"]


@needs_vllm
def test_a_killed_engine_is_a_lost_device(vllm_said):
    assert vllm_said["engine killed"]["kind"] == "device_lost"
