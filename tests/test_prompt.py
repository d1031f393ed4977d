"""Prompts: what is filled in, what is left alone, and the one sentence for each defect."""

import re
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Workspace, open_workspace
from orchestrator.datasets import open_dataset
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.prompt import Prompt, fields, render
from orchestrator.prompt_files import list_prompts, load_prompt, load_prompts
from orchestrator.running.fitting import check_sets

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "bakeoff.toml").write_text("")
    (tmp_path / "prompts").mkdir()
    return open_workspace(tmp_path)


def _load(workspace: Workspace, content: str | bytes) -> Prompt:
    data = content if isinstance(content, bytes) else content.encode()
    (workspace.root / "prompts" / "p.txt").write_bytes(data)
    return load_prompt(workspace, "p")


def _defect(workspace: Workspace, content: str | bytes) -> str:
    with pytest.raises(BakeoffError) as caught:
        _load(workspace, content)
    sentence = str(caught.value)
    assert sentence.startswith(str(workspace.root / "prompts" / "p.txt") + ": ")
    assert "\n" not in sentence
    return sentence


def _prompt(text: str) -> Prompt:
    return Prompt("p", text, None, "")


def test_all_three_fields_are_filled_in():
    text = "On this {doc_class}, {question_type}: {question} {question}"
    shown = render(_prompt(text), question="Q?", doc_class="receipt", question_type="total")
    assert shown == "On this receipt, total: Q? Q?"
    assert fields(text) == ("question", "doc_class", "question_type")


def test_a_missing_value_is_an_empty_string():
    assert render(_prompt("[{doc_class}|{question_type}] {question}"), question="Q") == "[|] Q"


def test_values_are_not_filled_in_again():
    value = "{doc_class} {{question}} %(question)s %s \\1"
    assert render(_prompt("{question}|{doc_class}"), question=value, doc_class="c") == f"{value}|c"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('Answer as { "a": 1 } or {"a": [1]} or {}', 'Answer as { "a": 1 } or {"a": [1]} or {}'),
        ("{{word}} and {{question}}", "{word} and {question}"),
        ('{"q": {question}}', '{"q": Q}'),
        ('{"q": "{question}"}', '{"q": "Q"}'),
        ("{ question } {0} {a b} {a.b} {question!r}", "{ question } {0} {a b} {a.b} {question!r}"),
        ("100 % {question} %s %(question)s", "100 % Q %s %(question)s"),
        ("\\frac{1}{2} {question}", "\\frac{1}{2} Q"),
        ("{{{question}}}", "{{question}}"),
    ],
)
def test_other_braces_are_left_alone(workspace, text, shown):
    assert render(_load(workspace, text), question="Q") == shown


@given(st.text())
def test_a_text_without_braced_words_is_unchanged(text):
    text = re.sub(r"\{(?=\w)", "{ ", text)
    assert render(_prompt(text), question="Q", doc_class="c", question_type="t") == text


@given(st.text(), st.text(alphabet="{}%sqdoc_ \n"), st.text())
def test_a_question_appears_as_it_is(before, question, after):
    before, after = before.replace("{", ""), after.replace("}", "")
    before, after = before.replace("}", ""), after.replace("{", "")
    assert render(_prompt(f"{before}{{question}}{after}"), question=question) == before + question + after


def test_rendering_is_fast_enough_for_many_samples():
    prompt = _prompt("Read this {doc_class}. " * 20 + "{question}")
    start = time.perf_counter()
    for number in range(20_000):
        render(prompt, question=f"What is {number}?", doc_class="receipt")
    assert time.perf_counter() - start < 2


def test_a_prompt_is_its_file_without_the_white_space_around(workspace):
    prompt = _load(workspace, "\ufeff\r\n{question}\r\nAnswer:  \r\n".encode())
    assert (prompt.id, prompt.text, prompt.system) == ("p", "{question}\nAnswer:", None)


def test_front_matter_holds_system_and_description(workspace):
    prompt = _load(workspace, "---\nsystem: |\n  You read.\n  Well.\ndescription: d\n---\n\n{question}\n---\nmore\n")
    assert (prompt.system, prompt.description) == ("You read.\nWell.", "d")
    assert prompt.text == "{question}\n---\nmore"


def test_the_digest_covers_text_and_system_only(workspace):
    plain = _load(workspace, "{question}")
    described = _load(workspace, "---\ndescription: d\n---\n{question}")
    with_system = _load(workspace, "---\nsystem: s\n---\n{question}")
    assert plain.sha256 == described.sha256
    assert len({plain.sha256, with_system.sha256, _load(workspace, "{question}!").sha256}) == 3
    assert re.fullmatch("[0-9a-f]{64}", plain.sha256)


def test_a_prompt_without_a_question_is_fine(workspace):
    assert fields(_load(workspace, "Transcribe.").text) == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "{quesion}",
            "unknown field '{quesion}'; did you mean 'question'?; write {{quesion}} to keep the braces",
        ),
        ("{question} {docclass}", "unknown field '{docclass}'; did you mean 'doc_class'?"),
        ("{вопрос}", "unknown field '{вопрос}'; known: doc_class, question, question_type; write {{вопрос}}"),
        ("", "the prompt is empty"),
        (" \n\t\n", "the prompt is empty"),
        ("---\nsystem: s\n---\n", "the prompt is empty"),
        ("---\nsytem: s\n---\nhi", "unknown key 'sytem'; did you mean 'system'?"),
        ("---\nsystem: [1]\n---\nhi", "key 'system' should be a valid string, got [1]"),
        ("---\nsystem: s\nhi", "the front matter is not closed; end it with a line '---'"),
        ("---\nsystem: a: b\n---\nhi", "the front matter is not valid YAML"),
        ("---\n- a\n---\nhi", "should be a valid dictionary"),
        (
            "---\nsystem: Read {question}\n---\nhi",
            "system is sent as it stands; move {question} into the text",
        ),
        ("Привет".encode("cp1251"), "is not UTF-8 text"),
    ],
)
def test_a_defect_is_one_sentence(workspace, content, words):
    assert words in _defect(workspace, content)


def test_prompts_are_listed_by_name(workspace):
    folder = workspace.root / "prompts"
    (folder / "sub").mkdir()
    for name in (
        "b.txt",
        "a.md",
        "sub/c.txt",
        "README.md",
        "_draft.txt",
        ".d.txt",
        "set.csv",
        "chat.yaml",
        "page.png",
        "two.md",
        "two.txt",
    ):
        (folder / name).write_text("hi")
    assert list(list_prompts(workspace)) == ["a", "b", "chat", "set", "sub/c", "two.md", "two.txt"]
    assert load_prompt(workspace, "sub/c").id == "sub/c"
    assert load_prompt(workspace, "b.txt").id == "b"
    assert load_prompt(workspace, str(folder / "b.txt")).id == "b"


def test_a_name_that_two_files_share_must_be_said_whole(workspace):
    for name in ("two.md", "two.txt"):
        (workspace.root / "prompts" / name).write_text(name)
    with pytest.raises(UsageError, match=r"no prompt 'two'; did you mean 'two\.(md|txt)'"):
        load_prompt(workspace, "two")
    assert load_prompt(workspace, "two.txt").text == "two.txt"


def test_a_prompt_may_lie_elsewhere(workspace, tmp_path):
    (tmp_path / "mine.md").write_text("hi")
    assert load_prompt(workspace, str(tmp_path / "mine.md")).id == "mine"


def test_an_unknown_prompt_is_a_usage_error_with_the_nearest_name(workspace):
    _load(workspace, "hi")
    (workspace.root / "prompts" / "short.txt").write_text("hi")
    with pytest.raises(UsageError, match=r"there is no prompt 'shrt'; did you mean 'short'\?"):
        load_prompt(workspace, "shrt")


def test_a_file_of_another_kind_is_no_prompt(workspace):
    (workspace.root / "prompts" / "notes.docx").write_text("a,b")
    with pytest.raises(UsageError, match=r"notes\.docx: is not a prompt; .* ends in \.txt, \.md, \.csv or \.yaml"):
        load_prompt(workspace, "notes.docx")


def test_the_examples_of_the_docs_load_and_fit_the_tiny_dataset(workspace):
    page = (REPOSITORY / "docs" / "prompts.md").read_text()
    for name, content in re.findall(r"^`(prompts/[\w./]+)`\n\n```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        (workspace.root / name).parent.mkdir(exist_ok=True)
        (workspace.root / name).write_text(content)
    (workspace.root / "prompts" / "receipts" / "examples").mkdir()
    shop = REPOSITORY / "datasets" / "tiny-docs" / "images" / "receipt_1.jpg"
    shutil.copy(shop, workspace.root / "prompts" / "receipts" / "examples" / "shell.jpg")
    prompts = {prompt.id: prompt for prompt in load_prompts(workspace, ["receipts"])}
    assert [prompt.kind for prompt in prompts.values()] == ["set", "chat", "text"]
    assert [prompt_id for prompt_id in list_prompts(workspace) if prompt_id not in prompts] == ["cards"]
    notes = []
    check_sets(prompts.values(), open_dataset(workspace, str(shop.parents[1])), None, notes.append)
    assert len(notes) == 1
    assert "will be asked by 'default'" in notes[0]


def test_the_prompts_of_the_repository_load():
    workspace = open_workspace(REPOSITORY)
    names = list_prompts(workspace)
    assert {"question", "short", "transcribe"} <= set(names)
    assert all(load_prompt(workspace, name).id == name for name in names)
    assert render(load_prompt(workspace, "question"), question="What?") == "What?"


@pytest.mark.parametrize(("name", "text"), [("deep.txt", "---\nsystem: {}\n---\nq\n"), ("deep.yaml", "system: {}\n")])
def test_yaml_that_is_nested_too_deep_is_one_sentence(workspace, name, text):
    path = workspace.root / "prompts" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace("{}", "[" * 600 + "]" * 600))
    with pytest.raises(BakeoffError, match=r"deep\.\w+: .*is not valid YAML"):
        load_prompt(workspace, str(path))
