"""A chat: its turns and images reach the model in order, are part of the key, and are looked after like a dataset's."""

import hashlib
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from orchestrator import api
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.prompt import Image as Shown
from orchestrator.prompt import ask, describe, identify
from orchestrator.prompt_files import load_prompt
from orchestrator.results.expected import iter_keys
from orchestrator.results.parquet import write_table
from orchestrator.results.plan import Cell
from orchestrator.results.schema import SAMPLES

CHAT = """
description:
system: |
  Read.
turns:
  - user:
      - "Look:"
      - image: examples/a.png
      - text: What is the total on this {doc_class}?
  - assistant: 86.00
  - user: "{question} Here: {images} Be exact."
"""
SHORT = 'turns:\n  - user: "{question}"\n'


@pytest.fixture
def prompts(workspace):
    """Return the folder of prompts, with two pictures in `examples`."""
    folder = workspace.root / "prompts"
    (folder / "examples").mkdir()
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (8, 8), colour).save(folder / "examples" / f"{name}.png")
    return folder


def load(workspace, content, name="chat.yaml"):
    path = workspace.root / "prompts" / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_prompt(workspace, name)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def text(said):
    return {"type": "text", "text": said}


def image(path):
    return {"type": "image", "path": str(path), "sha256": sha256(path)}


def test_turns_are_filled_in_with_images_where_they_stand(workspace, prompts):
    prompt = load(workspace, CHAT)
    page = Shown(str(prompts / "examples" / "b.png"), sha256(prompts / "examples" / "b.png"))
    asked = ask(prompt, question="Who? {doc_class}", doc_class="bill", images=[page, page])
    a, b = (image(prompts / "examples" / f"{name}.png") for name in "ab")
    assert asked.messages == [
        {"role": "user", "content": [text("Look:"), a, text("What is the total on this bill?")]},
        {"role": "assistant", "content": [text("86.00")]},
        {"role": "user", "content": [text("Who? {doc_class} Here:"), b, b, text("Be exact.")]},
    ]
    assert asked.text == (
        "user: Look: [image] What is the total on this bill?\nassistant: 86.00\n"
        "user: Who? {doc_class} Here: [image] [image] Be exact."
    )
    assert (prompt.system, prompt.kind) == ("Read.", "chat")
    assert describe(prompt) == "chat of 3 turns, 1 example images: {question} Here: Be exact."


def test_the_samples_images_come_before_the_question_where_nothing_else_is_said(workspace, prompts):
    page = Shown("/p.png", "d")
    (turn,) = ask(load(workspace, SHORT), question="Q", images=[page]).messages
    assert turn["content"] == [{"type": "image", "path": "/p.png", "sha256": "d"}, text("Q")]
    (turn,) = ask(load(workspace, SHORT), question="Q").messages
    assert turn["content"] == [text("Q")]
    literal = load(workspace, 'turns:\n  - user: "{{images}} of {question}"\n')
    (turn,) = ask(literal, question="Q", images=[page]).messages
    assert turn["content"][1] == text("{images} of Q")


@pytest.mark.parametrize("said", ["86.00", "yes", "2018-03-18", "null", "0x1F", "1e3", "00123", "~", "12:30"])
def test_what_yaml_takes_for_something_else_stays_a_text(workspace, prompts, said):
    prompt = load(workspace, f'turns:\n  - user: Hi\n  - assistant: {said}\n  - user: "{{question}}"\n')
    assert ask(prompt, question="Q").messages[1]["content"] == [text(said)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "should be a valid dictionary"),
        ("turns: []\n", "there are no turns; write"),
        ("turn:\n  - user: Hi\n", "unknown key 'turn'; did you mean 'turns'?"),
        ("turns:\n  - Hi\n", "turn 1: is no turn; write 'user: …' or 'assistant: …'"),
        ("turns:\n  - role: user\n    content: Hi\n", "turn 1: is no turn"),
        ("turns:\n  - system: Hi\n", "turn 1: is no turn"),
        ("turns:\n  - user:\n", "turn 1: the user says nothing"),
        (
            "turns:\n  - user: {question}\n",
            "put quotes around a text that begins with { or [ or holds ': ', as in \"{q",
        ),
        ("turns:\n  - user: {question} Now\n", "line 2: is not valid YAML: "),
        (f"{SHORT}{SHORT}", "line 1: is not valid YAML: 'turns' is there twice"),
        ("turns:\n  - user: Hi\n    user: Ho\n", "line 2: is not valid YAML: 'user' is there twice"),
        ("turns:\n  - user: Total: now\n", "line 2: is not valid YAML: "),
        ('turns:\n  - user: "{quesion}"\n', "turn 1: unknown field '{quesion}'; did you mean 'question'?"),
        ("turns:\n  - assistant: Hi\n", "turn 1: is the assistant's; turns alternate, and the user begins"),
        ("turns:\n  - user: Hi\n  - user: Hi\n", "turn 2: is the user's; turns alternate"),
        ("turns:\n  - user: Hi\n  - assistant: Ho\n", "the last turn should be the user's, with the question"),
        (
            "turns:\n  - user: Hi\n  - assistant:\n      - image: examples/a.png\n  - user: Hi\n",
            "turn 2: the assistant shows no images",
        ),
        (
            'turns:\n  - user: "{images}"\n  - assistant: Ho\n  - user: Hi\n',
            "turn 1: {images} stands once, in the last turn; an example's image is 'image: PATH'",
        ),
        ('turns:\n  - user: "{images} {images}"\n', "turn 1: {images} stands once, in the last turn"),
        ("system: See {question}\n" + SHORT, "system is sent as it stands; move {question} into the text"),
        ("turns:\n  - user:\n      - image: examples/c.png\n", "examples/c.png: there is no such image"),
        ("turns:\n  - user:\n      - image: notes.txt\n", "notes.txt: is not an image; it looks like text"),
        ("turns:\n  - user:\n      - image: examples\n", "examples: is a folder, not an image"),
        ("turns:\n  - user:\n      - image: [a, b]\n", 'turn 1: {"image": ["a", "b"]} is neither a text nor \'image:'),
        (
            "turns:\n  - user:\n      - image: ../../secret.png\n",
            "secret.png lies outside the prompt's folder; allow it",
        ),
        (
            "turns:\n  - user:\n      - image: /etc/hostname\n",
            "/etc/hostname lies outside the prompt's folder; allow it",
        ),
        ("turns:\n  - user:\n      - image: examples/link.png\n", "leads outside the prompt's folder; allow it"),
        ("Привет".encode("cp1251"), "is not UTF-8 text"),
    ],
)
def test_a_defect_is_one_sentence(workspace, prompts, content, words):
    Image.new("RGB", (8, 8)).save(workspace.root.parent / "secret.png")
    (prompts / "notes.txt").write_text("Total 5")
    (prompts / "examples" / "link.png").symlink_to(workspace.root.parent / "secret.png")
    with pytest.raises(BakeoffError) as caught:
        load(workspace, content)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(prompts / "chat.yaml"))
    assert "\n" not in str(caught.value)


def test_image_folders_of_the_workspace_let_examples_in(workspace, prompts):
    (workspace.root / "elsewhere").mkdir()
    Image.new("RGB", (8, 8)).save(workspace.root / "elsewhere" / "x.png")
    content = "turns:\n  - user:\n      - image: ../elsewhere/x.png\n"
    with pytest.raises(BakeoffError, match="outside the prompt's folder"):
        load(workspace, content)
    (workspace.root / "bakeoff.toml").write_text('[settings]\nimage_folders = ["elsewhere"]\n')
    assert load(api.open_workspace(workspace.root), content).images[0].sha256


def test_a_chat_elsewhere_is_fenced_by_its_own_folder(workspace, tmp_path):
    (tmp_path / "out").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "out" / "x.png")
    (tmp_path / "out" / "c.yaml").write_text("turns:\n  - user:\n      - image: x.png\n")
    assert len(load_prompt(workspace, str(tmp_path / "out" / "c.yaml")).images) == 1
    Image.new("RGB", (8, 8)).save(tmp_path / "y.png")
    (tmp_path / "out" / "c.yaml").write_text("turns:\n  - user:\n      - image: ../y.png\n")
    with pytest.raises(BakeoffError, match="outside the prompt's folder"):
        load_prompt(workspace, str(tmp_path / "out" / "c.yaml"))


def test_the_digest_covers_texts_images_and_system_and_no_path(workspace, prompts):
    digests = [
        load(workspace, content).sha256 for content in (CHAT, CHAT.replace("86", "85"), CHAT.replace("Read", "Do"))
    ]
    (prompts / "examples" / "a.png").rename(prompts / "examples" / "c.png")
    assert load(workspace, CHAT.replace("a.png", "c.png")).sha256 == digests[0]
    (prompts / "examples" / "b.png").rename(prompts / "examples" / "a.png")
    digests.append(load(workspace, CHAT).sha256)
    assert len(set(digests)) == 4


def test_a_plain_prompt_cannot_pose_as_a_chat(workspace, prompts):
    chat = load(workspace, SHORT)
    (prompts / "plain.txt").write_text(chat.text.replace("{", "{{").replace("}", "}}"))
    assert chat.sha256 != load(workspace, chat.text.encode(), "plain.txt").sha256


ROWS = [
    {
        "id": "a",
        "images": [{"path": "/x.png", "sha256": "ab" * 32}],
        "question": "Сколько?",
        "doc_class": "receipt",
        "question_type": "total",
    },
    {"id": "b", "images": [], "question": "{question}\n%s"},
]
PLAIN = "---\nsystem: Lies genau.\ndescription: x\n---\nOn {doc_class}/{question_type}: «{question}» {{a}} 100 %\n"


def keys_of(run, prompt, **changes):
    """Return the keys of a run of ROWS, whose file of prompts has the columns of its day, in SHA-256."""
    run.mkdir(exist_ok=True)
    columns = {field.name: [row.get(field.name) for row in ROWS] for field in SAMPLES}
    write_table(run / "samples.parquet", SAMPLES, iter([pa.RecordBatch.from_pydict(columns, SAMPLES)]))
    row = {"id": "p", "sha256": prompt.sha256, "text": prompt.text, "system": prompt.system}
    if prompt.kind != "text":
        row |= {"kind": prompt.kind, "images": [shown._asdict() for shown in prompt.images]}
    table = pa.Table.from_pylist([row])
    write_table(run / "prompts.parquet", table.schema, iter(table.to_batches()))
    given = {"model": "m", "runner": "r", "runner_digest": "d", "params": {"t": 0.5}, "overrides": {}, "prompt": "p"}
    cell = Cell(**given, prompt_sha256=prompt.sha256, repeats=2, **changes)
    return [key for batch in iter_keys(run, cell) for key in batch]


def test_the_keys_of_plain_prompts_are_those_of_the_first_day(workspace, tmp_path):
    """Computed by the code before there were sets and chats: another key asks everybody's models again."""
    prompt = load(workspace, PLAIN, "plain.md")
    assert prompt.sha256 == "89c21b16f22f44b4b7ad97f30555d37c786511a49c12e76bfb8ce396a536b5f1"
    assert keys_of(tmp_path / "run", prompt) == [
        "ba9b1c1268f28dc0652c61d4c1651cda4333fbc3c40f3a3f12b34debff3d1644",
        "33fa4456f62a0a7a7473ac3b587237fa5c977bef367fb6e4743e2751ae3f3d92",
        "f1749778d1cec26bce49cacb3b66ce1f259aeebfbf555eaa150443916eb4ddd0",
        "9888a6071f2cd568ab81a699ff436f0191f1744c01ac86aafdf7fead0eaf41f2",
    ]
    assert keys_of(tmp_path / "run", prompt, ignores_prompt=True) == [
        "217b5cffc182619d39a20dc0d0be81ad57a15071eb2084ca8a2b1e7133836333",
        "3388d24c511e643850e831226a4a5d685affaff2f24fe70058f587485d1c4607",
        "db0a66cf89754ba635bcb28fd23b8d08065644270265a9841f3a6f40714948e5",
        "7fe1780980c2c253f2d9435628a9424880a9455db79506ea5776b96259ef1226",
    ]


def test_the_keys_of_chats_have_texts_and_digests_and_stay_the_same(workspace, prompts, tmp_path):
    chat = load(workspace, SHORT)
    shown = {"type": "image", "sha256": "ab" * 32}
    messages = [{"role": "user", "content": [shown, text("Сколько?")]}]
    whole = [1, "m", "d", {"t": 0.5}, None, messages, ["ab" * 32], 2]
    keys = keys_of(tmp_path / "run", chat)
    assert keys[1] == hashlib.sha256(json.dumps(whole, separators=(",", ":")).encode()).hexdigest()
    assert keys[1] == "e528e73b4f865a68570635f891ed9f4389804978a19cd323defa52c12118813f"
    deaf = keys_of(tmp_path / "run", chat, ignores_prompt=True)
    plain = load(workspace, "{question}", "plain.txt")
    assert deaf == keys_of(tmp_path / "run", plain, ignores_prompt=True)
    with_example = load(workspace, CHAT)
    first = keys_of(tmp_path / "run", with_example)
    (prompts / "examples" / "b.png").rename(prompts / "examples" / "a.png")
    assert not {*first} & {*keys_of(tmp_path / "run", load(workspace, CHAT))}


def test_the_identity_of_messages_has_no_paths():
    shown = [{"role": "user", "content": [{"type": "image", "path": "/a", "sha256": "d"}, text("Q")]}]
    assert identify(shown) == [{"role": "user", "content": [{"type": "image", "sha256": "d"}, text("Q")]}]


def rows_of(outcome, model):
    assert [m.error for m in outcome.models] == [None]
    return pq.read_table(outcome.folder / "predictions" / f"{model}.parquet").to_pylist()


def write_pages(root, count=2):
    folder = root / "datasets" / "pages"
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
    lines = [f"{number}.png,Q{number}?,A" for number in range(count)]
    (folder / "annotation.csv").write_text("image_path,question,answer\n" + "\n".join(lines) + "\n")
    return [folder / f"{number}.png" for number in range(count)]


def test_a_runner_gets_the_turns_and_all_images_in_order(workspace, prompts):
    pages = write_pages(workspace.root)
    (prompts / "chat.yaml").write_text(CHAT)
    options = {"models": ["turns"], "dataset": "pages", "prompts": ["chat"], "workspace": workspace}
    said = [json.loads(row["text"]) for row in rows_of(api.run(**options), "turns")]
    by_page = {each["images"][-1]: each for each in said}
    a = prompts / "examples" / "a.png"
    for number, page in enumerate(pages):
        got = by_page[str(page)]
        assert got["images"] == [str(a), str(page)]
        assert got["messages"] == [
            {"role": "user", "content": [text("Look:"), image(a), text("What is the total on this ?")]},
            {"role": "assistant", "content": [text("86.00")]},
            {"role": "user", "content": [text(f"Q{number}? Here:"), image(page), text("Be exact.")]},
        ]
        assert got["system"] == "Read."
        assert got["prompt"].endswith(f"user: Q{number}? Here: [image] Be exact.")
    assert [model.statuses for model in api.run(**options).models] == [{}]
    run = workspace.results / "pages"
    assert {check.damage for check in api.verify_run(run)} == {None}
    (kept,) = pq.read_table(run / "prompts.parquet").to_pylist()
    assert kept["images"] == [{"path": str(a), "sha256": sha256(a)}]
    assert sha256(a) in kept["text"]


def test_a_plain_prompt_comes_without_turns(workspace):
    rows = rows_of(api.run(models=["turns"], dataset="words", workspace=workspace), "turns")
    assert {json.loads(row["text"])["messages"] for row in rows} == {None}


def test_another_example_image_asks_again(workspace, prompts):
    write_pages(workspace.root)
    (prompts / "chat.yaml").write_text(CHAT)
    options = {"models": ["turns"], "dataset": "pages", "prompts": ["chat"], "workspace": workspace}
    api.run(**options)
    (prompts / "examples" / "b.png").replace(prompts / "examples" / "a.png")
    assert [model.statuses for model in api.run(**options).models] == [{"ok": 2}]
    (stale,) = api.show_run(workspace.results / "pages").stale
    assert (stale.why, stale.rows) == ("prompt_text", 2)


def test_an_example_that_changes_while_a_run_goes_on_is_not_shown(workspace, prompts):
    write_pages(workspace.root)
    (prompts / "chat.yaml").write_text(CHAT)
    spoilt = prompts / "examples" / "a.png"
    options = {"models": ["turns"], "dataset": "pages", "prompts": ["chat"], "workspace": workspace}
    (model,) = api.run(**options, params={"spoils": str(spoilt)}).models
    assert model.statuses == {"error": 2}
    assert f"{spoilt}: was changed since the run began" in model.error


def test_a_runner_that_knows_no_turns_refuses_before_anything_is_asked(workspace, prompts):
    (prompts / "chat.yaml").write_text(SHORT)
    words = r"model 'echo' cannot be asked prompt 'chat', a chat .* 'echo' does not say `messages = true` in its runner"
    with pytest.raises(UsageError, match=words):
        api.run(models=["turns", "echo"], dataset="words", prompts=["chat"], workspace=workspace)
    assert not list((workspace.results / "words").glob("*.parquet"))
    with pytest.raises(UsageError, match=words):
        api.try_model("echo", [], "Q", prompt="chat", workspace=workspace)


def test_an_engine_that_ignores_prompts_is_shown_the_samples_image_alone(workspace, prompts):
    manifest = workspace.root / "runners" / "turns" / "runner.toml"
    manifest.write_text(manifest.read_text().replace("messages = true", "ignores_prompt = true"))
    pages = write_pages(workspace.root, 1)
    (prompts / "chat.yaml").write_text(CHAT)
    options = {"models": ["turns"], "dataset": "pages", "workspace": api.open_workspace(workspace.root)}
    (row,) = rows_of(api.run(**options, prompts=["chat", "question"]), "turns")
    said = json.loads(row["text"])
    assert (said["images"], said["messages"]) == ([str(pages[0])], None)


def test_samples_that_are_among_the_examples_are_told(workspace, prompts):
    pages = write_pages(workspace.root)
    (prompts / "examples" / "a.png").write_bytes(pages[1].read_bytes())
    (prompts / "chat.yaml").write_text(CHAT)
    notes = []
    options = {"models": ["turns"], "dataset": "pages", "prompts": ["chat"], "workspace": workspace}
    api.run(**options, notify=lambda event: notes.append(str(event)))
    assert any(
        re.search("prompt 'chat': 1 samples ask about an image that is an example of it", note) for note in notes
    )


def test_a_first_look_can_be_a_chat(workspace, prompts):
    (prompts / "chat.yaml").write_text(CHAT)
    (page,) = write_pages(workspace.root, 1)
    said = json.loads(api.try_model("turns", page, "Q?", prompt="chat", workspace=workspace).text)
    assert said["images"] == [str(prompts / "examples" / "a.png"), str(page)]
    assert said["messages"][-1]["content"] == [text("Q? Here:"), image(page), text("Be exact.")]
    (prompts / "set.csv").write_text("doc_class,question_type,prompt\na,b,c\n")
    with pytest.raises(UsageError, match="prompt set 'set' goes by class and type, which are not known here"):
        api.try_model("turns", page, "Q?", prompt="set", workspace=workspace)
