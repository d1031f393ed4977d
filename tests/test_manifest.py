"""Runners are found by their folders, and every defect of one is a sentence."""

import pytest

from orchestrator.errors import BakeoffError
from orchestrator.manifest import discover, is_runner_name, read_runner


def add_runner(root, name="mine", manifest="", code="runner.py"):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "runner.toml").write_text(manifest)
    (folder / "requirements.txt").write_text("")
    if code:
        (folder / code).write_text("")
    return folder


def test_everything_in_a_manifest_has_a_default(tmp_path):
    runner = read_runner(add_runner(tmp_path))
    assert (runner.name, runner.folder) == ("mine", tmp_path / "mine")
    manifest = runner.manifest
    assert (manifest.python, manifest.env, manifest.accelerator) == ("3.11", (), "none")
    assert (manifest.batch_max, manifest.concurrency, manifest.command) == (1, 1, ())
    assert (manifest.defaults, manifest.models) == ({}, {})


def test_a_full_manifest_is_read(tmp_path):
    (tmp_path / "_shared").mkdir()
    text = """
python = "3.12"
env = ["HF_TOKEN"]
accelerator = "cuda"
path = ["../_shared"]
batch_max = 8
[defaults]
max_new_tokens = 256
[models.qwen2-vl-2b]
checkpoint = "Qwen/Qwen2-VL-2B-Instruct"
"""
    runner = read_runner(add_runner(tmp_path, manifest=text))
    assert runner.helper_folders == (tmp_path / "_shared",)
    assert runner.manifest.env == ("HF_TOKEN",)
    assert runner.manifest.models == {"qwen2-vl-2b": {"checkpoint": "Qwen/Qwen2-VL-2B-Instruct"}}


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ("batchmax = 4", "unknown key 'batchmax'; did you mean 'batch_max'?"),
        ("Concurrency = 4", "unknown key 'Concurrency'; did you mean 'concurrency'?"),
        ("xyz = 4", "unknown key 'xyz'"),
        ("batch_max = 0", "key 'batch_max' should be greater than or equal to 1, got 0"),
        ('batch_max = "many"', "key 'batch_max' should be a valid integer"),
        ("python = 3.10", "key 'python': write the version in quotes"),
        ('env = "HF_TOKEN"', "key 'env' should be a list, got 'HF_TOKEN'"),
        ('accelerator = "gpu"', "key 'accelerator' should be 'none' or 'cuda', got 'gpu'"),
        ("item_timeout_s = 0", "key 'item_timeout_s' should be greater than 0, got 0"),
        ("[models]\na = 1", "key 'models.a' should be a valid dictionary, got 1"),
        ('[[needs]]\nwhat = "x"', "key 'needs.0.remedy' is missing"),
        ("batch_max = ", "is not valid TOML: "),
        ("a = 1\na = 2", "is not valid TOML: "),
    ],
)
def test_a_defect_names_file_key_value_and_nearest_key(tmp_path, manifest, sentence):
    folder = add_runner(tmp_path, manifest=manifest)
    with pytest.raises(BakeoffError) as caught:
        read_runner(folder)
    assert str(caught.value).startswith(f"{folder / 'runner.toml'}: {sentence}")
    assert "\n" not in str(caught.value)


def test_a_manifest_that_is_not_utf8_is_named(tmp_path):
    folder = add_runner(tmp_path)
    (folder / "runner.toml").write_bytes(b'description = "\xff"')
    with pytest.raises(BakeoffError, match=r"runner\.toml: cannot be read: it is not UTF-8 text$"):
        read_runner(folder)


def test_a_byte_order_mark_is_passed_over(tmp_path):
    folder = add_runner(tmp_path)
    (folder / "runner.toml").write_text("batch_max = 2", encoding="utf-8-sig")
    assert read_runner(folder).manifest.batch_max == 2


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("runner.toml", "has no runner.toml; write one, or start the folder's name with '_'"),
        ("requirements.txt", "has no requirements.txt; add one, it may be empty"),
        ("runner.py", "has no runner.py, and runner.toml names no command"),
    ],
)
def test_a_missing_file_is_named(tmp_path, missing, sentence):
    folder = add_runner(tmp_path)
    (folder / missing).unlink()
    with pytest.raises(BakeoffError) as caught:
        read_runner(folder)
    assert str(caught.value) == f"{folder}: {sentence}"


def test_a_command_needs_no_runner_py(tmp_path):
    folder = add_runner(tmp_path, manifest='command = ["node", "runner.mjs"]', code=None)
    assert read_runner(folder).manifest.command == ("node", "runner.mjs")


def test_a_helper_folder_that_is_not_there_is_named(tmp_path):
    folder = add_runner(tmp_path, manifest='path = ["../nowhere"]')
    with pytest.raises(BakeoffError, match=r"runner\.toml: path: there is no folder '\.\./nowhere'$"):
        read_runner(folder)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("echo", True), ("qwen2_vl-2b", True), ("a b", False), ("_x", False), ("ü", False), ("", False)],
)
def test_a_runners_name_is_plain(name, is_one):
    assert is_runner_name(name) is is_one


def test_a_broken_runner_hides_no_other(tmp_path):
    add_runner(tmp_path, "good")
    add_runner(tmp_path, "broken", manifest="batchmax = 4")
    add_runner(tmp_path, "odd name")
    (tmp_path / "_shared").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "notes.txt").touch()
    found = discover((tmp_path,))
    assert list(found.runners) == ["good"]
    assert set(found.defects) == {"broken", "odd name"}
    assert "did you mean 'batch_max'?" in found.defects["broken"]


def test_a_runner_of_an_earlier_root_hides_its_namesake(tmp_path):
    add_runner(tmp_path / "a", "echo")
    add_runner(tmp_path / "b", "echo")
    add_runner(tmp_path / "b", "other")
    found = discover((tmp_path / "nowhere", tmp_path / "a", tmp_path / "b"))
    assert {name: runner.folder.parent.name for name, runner in found.runners.items()} == {
        "echo": "a",
        "other": "b",
    }
