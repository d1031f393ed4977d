"""Chats with example images, to the end: on the wire of an API, and in the chat template of a tiny model."""

import hashlib
import json
import subprocess

import pyarrow.parquet as pq
import pytest
from PIL import Image

from orchestrator import api
from orchestrator.config import get_runner, open_workspace
from orchestrator.env import ensure_env
from tests.servers.chat import chat_server
from tests.test_engines import ROOT
from tests.tiny.squares import COLOURS
from tests.torch_wheels import TINY, build_env, torch_workspace

pytestmark = pytest.mark.slow  # for the environments; the tests themselves take seconds

CHAT = """
system: Be brief.
turns:
  - user:
      - image: examples/red.png
      - Which colour?
  - assistant: red
  - user: "{images} {question}"
"""


def write_chat(root, name="chat"):
    """Write the chat and its example; return the digest of that image."""
    (root / "chats" / "examples").mkdir(parents=True)
    (root / "chats" / f"{name}.yaml").write_text(CHAT)
    Image.new("RGB", (84, 56), "red").save(root / "chats" / "examples" / "red.png")
    return hashlib.sha256((root / "chats" / "examples" / "red.png").read_bytes()).hexdigest()


def test_an_endpoint_gets_the_turns_with_their_images_in_order(tmp_path):
    for name in ("runners", "envs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "bakeoff.toml").touch()
    example = write_chat(tmp_path)
    workspace = open_workspace(tmp_path)
    ensure_env(workspace, get_runner(workspace, "openai"), print)
    with chat_server(answer="images") as server:
        outcome = api.run(
            models=["local-openai"],
            dataset=ROOT / "datasets" / "tiny-docs",
            prompts=[str(tmp_path / "chats" / "chat.yaml")],
            limit=2,
            params={"base_url": server.url, "model": "m"},
            workspace=workspace,
        )
        requests = server.requests()
    page = hashlib.sha256((ROOT / "datasets" / "tiny-docs" / "images" / "receipt_1.jpg").read_bytes()).hexdigest()
    assert [model.error for model in outcome.models] == [None]
    assert [request["images"] for request in requests] == [[example, page]] * 2
    system, first, second, last = requests[0]["body"]["messages"]
    assert (system, second) == (
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "red"},
    )
    assert [part["type"] for part in (*first["content"], *last["content"])] == ["image_url", "text"] * 2
    assert (first["content"][1]["text"], first["role"], last["role"]) == ("Which colour?", "user", "user")
    asked = {request["body"]["messages"][-1]["content"][1]["text"] for request in requests}
    assert asked == {"What is the name of the shop?", "What is the address of the shop?"}
    rows = pq.read_table(outcome.folder / "predictions" / "local-openai.parquet").to_pylist()
    assert {row["text"] for row in rows} == {f"{example} {page}"}


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    models = f'[models.colours]\nrunner = "qwen2_vl"\ncheckpoint = "{COLOURS}"\nmax_new_tokens = 4\n'
    with torch_workspace(tmp_path_factory.mktemp("chat"), models, 4) as workspace:
        yield workspace


def test_a_checkpoints_own_template_writes_the_turns(kitchen, tmp_path):
    """Parts stay in the order in which they are told, whatever the kind."""
    Image.new("RGB", (84, 56), "red").save(tmp_path / "a.png")
    Image.new("RGB", (56, 112), "blue").save(tmp_path / "b.png")
    picture = {name: {"type": "image", "path": str(tmp_path / f"{name}.png"), "sha256": ""} for name in "ab"}
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Look:"}, picture["b"], {"type": "text", "text": "Well?"}],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "blue"}]},
        {"role": "user", "content": [picture["a"], {"type": "text", "text": "And here?"}]},
    ]
    command = [build_env(kitchen, "qwen2_vl").python, TINY / "converse.py", ROOT / "runners" / "qwen2_vl", COLOURS]
    given = json.dumps({"messages": messages, "system": "Be brief."})
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    shown = "<|vision_start|><|image_pad|><|vision_end|>"
    assert said["text"] == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        f"<|im_start|>user\nLook:{shown}Well?<|im_end|>\n"
        "<|im_start|>assistant\nblue<|im_end|>\n"
        f"<|im_start|>user\n{shown}And here?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert said["sizes"] == [[56, 112], [84, 56]]
    assert [(image["width"], image["height"]) for image in said["answer"]["info"]["images"]] == [(56, 112), (84, 56)]


def test_a_tiny_model_is_asked_a_chat_in_a_run(kitchen):
    write_chat(kitchen.root)
    prompts = ["question", str(kitchen.root / "chats" / "chat.yaml")]
    outcome = api.run(models=["colours"], dataset="squares", prompts=prompts, workspace=kitchen)
    assert [model.error for model in outcome.models] == [None]
    rows = pq.read_table(outcome.folder / "predictions" / "colours.parquet").to_pylist()
    tokens = {"question": {}, "chats/chat": {}}
    for row in rows:
        assert row["status"] == "ok"
        shown = json.loads(row["info"])["images"]
        assert len(shown) == (1 if row["prompt_id"] == "question" else 2)
        tokens[row["prompt_id"]][row["sample_id"]] = row["input_tokens"]
    more = {tokens["chats/chat"][sample] - plain for sample, plain in tokens["question"].items()}
    assert len(tokens["question"]) == 4
    assert len(more) == 1
    assert more.pop() > 3 * 2  # the example's visual tokens, and the turns round it
