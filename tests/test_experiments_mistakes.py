"""Files that no person should have written, or many do: each is one sentence with file and key, and quick."""

import time

import pytest

from orchestrator import api
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.experiments.reading import read_data
from orchestrator.scaffold import init_workspace

GOOD = "common: {dataset: tiny-docs, model: echo}\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Make a workspace as it comes."""
    return init_workspace(tmp_path_factory.mktemp("mistakes") / "ws")


def plan(root, text, name="set.yaml"):
    (root / "experiments" / name).write_text(text)
    return api.open_set(name, workspace=root)


def aliases(depth):
    """Return lines of YAML in which each says the one before nine times."""
    lines = ["x-0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(lines) + "\n"


MERGES = "x0: &x0 {a: 1}\n" + "".join(f"x{n}: &x{n} {{<<: [*x{n - 1}, *x{n - 1}]}}\n" for n in range(1, 26))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (aliases(9) + "common: {params: {a: *a8}}\n", "line 6: makes more than 100,000 values by its aliases"),
        (MERGES, "line 16: makes more than 100,000 values by its aliases"),
        ("common: &a {params: *a}\n", "line 1: refers to itself by an alias"),
        ("common: " + "[" * 1200 + "]" * 1200, "its lists or tables are nested too deeply"),
        ("common: {model: 'a\0b'}\n", "is not valid YAML: a character U+0000 in line 1"),
        ("common:\n\tmodel: echo\n", "in line 2; indent with spaces"),
        ("common: !!python/object/apply:os.getcwd []\n", "is not valid YAML: could not determine a constructor"),
        ("", "is empty; it should have keys such as name, common and grid"),
        ("1: 2\n", "the key 1 is not text; put it in quotes"),
        ("grid: {params.x: [1, .nan]}\n", "grid.params.x[1]: should be a number, got nan"),
    ],
)
def test_what_yaml_can_hide_is_refused_at_once(tmp_path, text, told):
    path = tmp_path / "set.yaml"
    path.write_text(text)
    began = time.monotonic()
    with pytest.raises(BakeoffError) as raised:
        read_data(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert told in str(raised.value)
    assert time.monotonic() - began < 20, "and not for ever"


def test_dates_of_toml_and_endless_json_are_told(tmp_path):
    (tmp_path / "a.toml").write_text("[common.params]\nday = 2026-01-01\n")
    (tmp_path / "b.json").write_text("[" * 100_000)
    (tmp_path / "c.yaml").write_text("#" * 2_000_000)
    for name, told in (("a.toml", "params.day: 2026-01-01 is a date"), ("b.json", "deeply"), ("c.yaml", "2.0 MB, at")):
        with pytest.raises(BakeoffError, match=told):
            read_data(tmp_path / name)


def test_plain_yaml_numbers_are_those_a_person_means(tmp_path):
    (tmp_path / "a.yaml").write_text("{a: 1e-3, b: 010, c: 1:30, d: 2026-01-01, e: -.5, f: 0x10, g: 7, h: yes, i: ~}")
    expected = {"a": 0.001, "b": 10, "c": "1:30", "d": "2026-01-01", "e": -0.5, "f": 16, "g": 7, "h": True, "i": None}
    assert read_data(tmp_path / "a.yaml") == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("common: {dataset: tiny-docs, model: [echo, tesseract]}\n", "common: model is a list; put it into the grid"),
        ("common: {dataset: tiny-docs}\ngrid: {model: [1]}\n", "grid.model[0]: model should be a name, or {name: …"),
        ("common: {dataset: tiny-docs, model: echo, prompts: []}\n", "prompts should be a list of names, got []"),
        (
            GOOD + "grid: {prefix: [a]}\n",
            "unknown key 'prefix'; a parameter of models is params.prefix",
        ),
        (GOOD + "grid: {params.: [a]}\n", "grid.params.[0]: 'params.' is no key: a part of it is empty"),
        (GOOD + "repeat: yes\n", "key 'repeat' should be a valid integer, got True"),
        (GOOD + "repeat: 1000000000\n", "key 'repeat' should be less than or equal to 10000"),
        (GOOD + "experiments: [{name: a}, {name: a, prompt: short}]\n", "experiments[1]: the name 'a' is that of exp"),
        (GOOD + "grid: {prompt: [short]}\nexclude: [{model: echo}]\n", "exclude leaves nothing of the grid"),
        (GOOD + "grid: {params.prefix: {from: 1, to: 2001}}\n", "set.yaml: makes 2,001 cells, more than 2,000"),
        (GOOD + "experiments: [" + "{}," * 2001 + "]\n", "set.yaml: makes 2,001 cells, more than 2,000"),
        (
            "cv: {grid_params: {model: [" + "a," * 50 + "], dataset: [" + "b," * 50 + "]}}\n",
            "set.yaml: makes 2,500 cells",
        ),
        (
            "experiments: [{name: a, dataset: d, model: m, with_vision: true}, {name: a, dataset: e, model: m}]\n",
            "experiments[1]: the name 'a' is that of experiments[0] already",
        ),
    ],
)
def test_mistakes_in_a_set_are_told_with_the_key(root, text, told):
    with pytest.raises(BakeoffError) as raised:
        plan(root, text)
    assert str(root / "experiments" / "set.yaml") in str(raised.value)
    assert told in str(raised.value)


def test_keys_by_their_path_anchors_and_empty_sections_are_taken(root):
    text = """
x-engines: &both {model: [echo]}
common: {dataset: tiny-docs, params.prefix: a}
grid: *both
experiments:
  - {model: echo, params.prefix: b}
exclude:
"""
    assert [cell.overrides for cell in plan(root, text).cells] == [{"prefix": "a"}, {"prefix": "b"}]


def test_a_set_is_named_by_its_place_and_two_of_one_name_by_their_suffix(root):
    folder = root / "experiments" / "more"
    folder.mkdir()
    (folder / "one.yaml").write_text(GOOD)
    assert api.open_set("more/one", workspace=root).name == "one"
    (folder / "one.toml").write_text('common = {dataset = "tiny-docs", model = "echo"}\n')
    with pytest.raises(UsageError, match=r"two files below experiments/, one.yaml and one.toml; give the one with"):
        api.open_set("more/one", workspace=root)
    assert api.open_set("more/one.toml", workspace=root).path == folder / "one.toml"
    with pytest.raises(UsageError, match="is a folder; a set is a file"):
        api.open_set("more", workspace=root)


@pytest.mark.slow
def test_a_thousand_cells_are_planned_in_seconds(root):
    plan(root, GOOD.replace("}", ", limit: 2}") + "grid: {params.prefix: {from: 1, to: 300}}\n")
    began = time.monotonic()
    assert api.plan_set("set.yaml", workspace=root).to_ask == 600
    assert time.monotonic() - began < 20
