"""A key is everything an answer depends on, and nothing else."""

import shutil
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.env import lock_digest
from orchestrator.identity import canonical, digest_runner, key_prefix, request_key
from orchestrator.manifest import read_runner

RUNNERS = Path(__file__).resolve().parent.parent / "runners"
CELL = {"model": "m", "runner_digest": "d", "params": {"a": 1, "b": [1.5]}, "system": None}
REQUEST = {"prompt": "what?", "image_digests": ["aa", "bb"], "repeat": 1}
CHANGES = [
    {},
    {"model": "n"},
    {"runner_digest": "e"},
    {"params": {"a": 2, "b": [1.5]}},
    {"params": {"a": 1}},
    {"params": {"a": "1", "b": [1.5]}},
    {"system": ""},
    {"system": "be brief"},
    {"prompt": "what ?"},
    {"prompt": ""},
    {"image_digests": ["bb", "aa"]},
    {"image_digests": ["aabb"]},
    {"image_digests": []},
    {"repeat": 2},
]


def key(**changes):
    cell = {name: changes.get(name, value) for name, value in CELL.items()}
    request = {name: changes.get(name, value) for name, value in REQUEST.items()}
    return request_key(key_prefix(**cell), *request.values())


def test_whatever_an_answer_depends_on_changes_its_key():
    keys = [key(**change) for change in CHANGES]
    for (one, a), (other, b) in combinations(zip(CHANGES, keys, strict=True), 2):
        assert a != b, (one, other)


def test_a_key_does_not_change_with_the_order_of_parameters():
    assert key(params={"b": [1.5], "a": 1}) == key()


def test_a_key_is_64_hex_digits_and_the_same_for_ever():
    assert key() == "801cc779a1287c3b3f41b63fa2f96a0bc193793822ad74c27399230ddbd7fa6a"


@given(st.lists(st.text(alphabet='",[]\\\\ a', max_size=6), max_size=4), st.text(max_size=5))
def test_no_text_can_pose_as_another_field(digests, prompt):
    assert key(prompt=prompt, image_digests=digests) != key(prompt=prompt, image_digests=[*digests, ""])
    assert key(prompt=prompt + '",["', image_digests=digests) != key(prompt=prompt, image_digests=digests)


@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=5))
def test_canonical_json_does_not_depend_on_order(value):
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_canonical_json_refuses_what_is_no_json():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": float("nan")})
    with pytest.raises(TypeError):
        canonical({"a": object()})


@pytest.fixture
def folder(tmp_path):
    """Make a runner with a helper folder."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "runner.toml").write_text('path = ["../_shared"]\n')
    (folder / "requirements.txt").write_text("")
    (folder / "runner.py").write_text("code")
    (tmp_path / "_shared").mkdir()
    (tmp_path / "_shared" / "helper.py").write_text("helper")
    return folder


def digest(folder):
    runner = read_runner(folder)
    return digest_runner(runner, lock_digest(runner))


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("runner.py", "other code"),
        ("words.txt", "data"),
        ("sub/module.py", ""),
        ("requirements.txt", "torch==2\n"),
        ("requirements.lock", "torch==2\n"),
        ("../_shared/helper.py", "other helper"),
        ("../_shared/more.py", ""),
        ("runner.toml", 'path = ["../_shared"]\ncommand = ["node", "x"]\n'),
    ],
)
def test_code_helpers_command_and_requirements_change_the_digest(folder, path, content):
    before = digest(folder)
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text(content)
    assert digest(folder) != before


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("README.md", "words"),
        ("__pycache__/runner.cpython-311.pyc", "x"),
        ("node_modules/a/index.js", "x"),
        (".git/HEAD", "x"),
        ("requirements.txt", "# a comment\n"),
        ("runner.toml", 'path = ["../_shared"]\ndescription = "words"\nitem_timeout_s = 5\n'),
        ("runner.toml", 'path = ["../_shared"]\n[defaults]\na = 1\n'),
    ],
)
def test_words_caches_and_parameters_do_not_change_the_digest(folder, path, content):
    before = digest(folder)
    (folder / path).parent.mkdir(exist_ok=True, parents=True)
    (folder / path).write_text(content)
    assert digest(folder) == before


def test_the_digest_does_not_depend_on_where_the_runner_lies(folder, tmp_path):
    before = digest(folder)
    shutil.copytree(tmp_path, tmp_path / "elsewhere", dirs_exist_ok=True)
    assert digest(tmp_path / "elsewhere" / "mine") == before


def test_moving_text_between_files_changes_the_digest(folder):
    (folder / "a.py").write_text("x")
    (folder / "b.py").write_text("y")
    before = digest(folder)
    (folder / "a.py").write_text("y")
    (folder / "b.py").write_text("x")
    assert digest(folder) != before


HELPERS = {
    "tesseract": ["_shared"],
    "rapidocr": ["_shared"],
    "openai": ["_shared"],
    "qwen2_vl": ["_vlm", "_shared"],
    "vllm": ["_vllm", "_vlm", "_shared"],
}


@pytest.mark.parametrize("name", HELPERS)
def test_what_a_runner_does_not_use_does_not_ask_it_again(tmp_path, name):
    """Text readers and paid models are not asked again because the code of the local ones changed."""
    for folder in ("_shared", "_vlm", "_vllm", name):
        shutil.copytree(RUNNERS / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    before, changing = digest(tmp_path / name), []
    for helper in ("_vllm", "_vlm", "_shared"):
        (tmp_path / helper / "more.py").write_text("")
        changing += [helper] if digest(tmp_path / name) != before else []
        (tmp_path / helper / "more.py").unlink()
    assert sorted(changing) == sorted(HELPERS[name])
