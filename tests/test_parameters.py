"""Parameters that do not fit a model are refused before anything is written or started."""

import pytest
from PIL import Image

from orchestrator import api
from orchestrator.errors import UsageError
from orchestrator.results.plan import read_plan
from orchestrator.running.lock import holding
from tests.workers import OURS, write_words

SAYS = "def load(params):\n    return None\n\ndef generate(_, request):\n    return {'text': repr(request['params'])}\n"
SIZED = '[defaults]\nsize = 1536\nrate = 0.5\nis_grey = false\nlang = "eng"\nstop = []\nmore = {}\nprice = ""\n'
REFUSED = [
    ("size=big", "size = \"big\": model 'sized' takes a number there, such as 1536"),
    ("size=true", "size = true: model 'sized' takes a number there"),
    ("size=[1]", "size = [1]: model 'sized' takes a number there"),
    ("is_grey=1", "is_grey = 1: model 'sized' takes true or false there, such as false"),
    ("is_grey=yes", "takes true or false there"),
    (
        "lang=5",
        "lang = 5: model 'sized' takes a text there, such as \"eng\"; in quotes it is a text: --param 'lang=\"5\"'",
    ),
    ("stop=END", "takes a list there, such as []"),
    ("more=x", "takes a table there, such as {}"),
    ("sise=1", "--param sise: model 'sized' has no parameter 'sise'; did you mean 'size'? (list it below [defaults]"),
]
FITS = ["size=2", "size=2.5", "rate=1", "is_grey=true", "lang=rus", "stop=[1]", 'more={"a":1}', "price=2", "size=",
        "rate=auto", "lang=null"]  # fmt: skip


@pytest.fixture
def place(workspace, monkeypatch):
    """Give a workspace with a runner that lists its parameters, one that lists others, and one that lists none."""
    for name, manifest in (("sized", SIZED), ("plain", '[defaults]\nlang = "eng"\n'), ("silent", "")):
        folder = workspace.root / "runners" / name
        folder.mkdir()
        (folder / "requirements.txt").touch()
        (folder / "runner.toml").write_text(f'python = "{OURS}"\n{manifest}')
        (folder / "runner.py").write_text(SAYS)
    write_words(workspace.root, ["a", "b"])
    monkeypatch.chdir(workspace.root)
    return workspace


@pytest.mark.parametrize(("param", "told"), REFUSED)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_what_does_not_fit_a_model_is_refused_before_anything_is_written(place, bakeoff, param, told, more):
    code, out, err = bakeoff("run", "--model", "sized", "--dataset", "words", "--param", param, *more)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert told in err
    assert not (place.root / "results").exists() or not list((place.root / "results").iterdir())


def test_a_first_look_is_refused_likewise(place, bakeoff, tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "page.png")
    for param, told in (("size=big", "takes a number there"), ("sise=1", "did you mean 'size'?")):
        code, _, err = bakeoff("try", "sized", tmp_path / "page.png", "?", "--param", param)
        assert code == 2
        assert told in err
        assert "building" not in err


@pytest.mark.parametrize("param", FITS)
def test_what_may_fit_is_not_refused(place, bakeoff, param):
    assert bakeoff("run", "--model", "sized", "--dataset", "words", "--param", param, "--dry-run")[0] == 0


def test_a_value_that_a_model_has_in_bakeoff_toml_says_its_kind_too(place, bakeoff):
    (place.root / "bakeoff.toml").write_text('[models.loose]\nrunner = "sized"\nsize = "S"\nown = 1\n')
    for param, code in (("size=L", 0), ("size=2", 0), ("own=2", 0), ("size=true", 2), ("own=x", 2)):
        assert bakeoff("run", "--model", "loose", "--dataset", "words", "--param", param, "--dry-run")[0] == code


def test_a_parameter_of_some_models_is_left_out_for_the_others(place):
    notes = []
    outcome = api.run(
        models=["sized", "plain", "silent"],
        dataset="words",
        params={"size": 9},
        workspace=place.root,
        notify=lambda event: notes.append(getattr(event, "text", "")),
    )
    assert outcome.is_complete
    assert "plain has no parameter size: left out for it" in notes
    assert {cell.model: cell.overrides for cell in read_plan(outcome.folder).cells} == {
        "sized": {"size": 9},
        "plain": {},
        "silent": {"size": 9},
    }
    plan = api.plan_run(models=["sized", "plain"], dataset="words", params={"size": 9}, workspace=place.root)
    assert plan.to_ask == 0
    assert plan.notes == ("plain has no parameter size: left out for it",)


@pytest.mark.parametrize(
    "said",
    ["grid: {params.size: [300, big]}", "experiments: [{model: {name: sized, params: {size: big}}}]"],
)
def test_a_value_that_cannot_be_is_refused_in_a_set(place, said):
    (place.root / "experiments").mkdir(exist_ok=True)
    path = place.root / "experiments" / "set.yaml"
    path.write_text("common: {model: sized, dataset: words}\n" + said)
    with pytest.raises(UsageError, match=r"size = .big.: model 'sized' takes a number there, such as 1536$") as raised:
        api.plan_set("set", workspace=place.root)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_misspelt_parameter_is_told_though_another_call_holds_the_run(place, bakeoff):
    with holding(place.results / "words"):
        code, _, err = bakeoff("run", "--model", "sized", "--dataset", "words", "--param", "sise=1")
    assert code == 2
    assert "did you mean 'size'?" in err
