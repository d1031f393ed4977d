"""What is asked at an address gets the key that is for it and no other, and one name stands for one endpoint."""

import hashlib
import json

import pytest

from orchestrator import api
from orchestrator.errors import UsageError
from tests.endpoints import make_repository
from tests.servers.chat import chat_server
from tests.workers import make_workspace, write_words

OPENAI = "https://api.openai.com/v1"
HERE, THERE = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"
TABLES = f"""
[models.priced]
runner = "openai"
base_url = "{HERE}"
model = "big"
api_key_env = "HOME_KEY"
api_key_header = "x-key"
headers = {{team = "red"}}
rpm = 60.0
price_input = 1.0
price_output = 2.0
[models.azure]
runner = "openai"
azure_endpoint = "https://x.openai.azure.com"
deployment = "d"
api_version = "1"
api_key_env = "AZURE_KEY"
"""


@pytest.fixture
def root(tmp_path, built_envs):
    workspace = make_workspace(tmp_path / "ws", built_envs)
    (workspace.root / "experiments").mkdir()
    (workspace.root / "bakeoff.toml").write_text(TABLES)
    return workspace.root


def open_models(root, *models):
    """Open the payload that has an experiment with each of `models`."""
    listed = [{"dataset": "words", "with_vision": True, "metrics": ["cer"], "model": model} for model in models]
    (root / "experiments" / "set.json").write_text(json.dumps({"name": "P", "experiments": listed}))
    return api.open_set("set", workspace=root)


def open_native(root, text):
    (root / "experiments" / "set.yaml").write_text(text)
    return api.open_set("set.yaml", workspace=root)


@pytest.mark.parametrize(("said", "key"), [("$OTHER_KEY", "OTHER_KEY"), ("EMPTY", ""), (None, "")])
def test_at_another_address_a_model_of_the_workspace_has_neither_its_key_nor_its_prices(root, said, key):
    (cell,) = open_models(root, {"name": "priced", "base_url": THERE, "api_key": said}).cells
    assert cell.overrides == {
        "base_url": THERE,
        "model": "priced",
        "api_key_env": key,
        "api_key_header": "",
        "headers": {},
        "rpm": 0.0,
        "price_input": "",
        "price_output": "",
    }


def test_an_address_of_the_payload_goes_before_azure_s(root):
    (cell,) = open_models(root, {"name": "azure", "base_url": OPENAI, "api_key": "$OPENAI_API_KEY"}).cells
    params = {**cell.model.params, **cell.overrides}
    assert (params["azure_endpoint"], params["base_url"], params["api_key_env"]) == ("", OPENAI, "OPENAI_API_KEY")


@pytest.mark.parametrize("address", [HERE, HERE + "/", HERE + "/chat/completions"])
def test_at_its_own_address_a_model_keeps_its_key_unless_the_payload_names_one(root, address):
    (cell,) = open_models(root, {"name": "priced", "base_url": address}).cells
    assert cell.overrides == {}
    (cell,) = open_models(root, {"name": "priced", "base_url": address, "api_key": "$HOME_KEY"}).cells
    assert cell.overrides == {}
    (cell,) = open_models(root, {"name": "priced", "base_url": address, "api_key": "$OTHER_KEY"}).cells
    assert cell.overrides == {"api_key_env": "OTHER_KEY"}


def test_another_model_at_its_own_address_is_asked_without_its_prices(root):
    (cell,) = open_models(root, {"name": "small", "aliased_name": "priced", "base_url": HERE}).cells
    assert cell.overrides == {"model": "small", "price_input": "", "price_output": ""}


def test_an_address_with_a_secret_is_refused(root):
    with pytest.raises(UsageError, match=r"experiments\[0\]: model 'm': its endpoint: 'base_url' would land in every"):
        open_models(root, {"name": "m", "base_url": "http://me:secret@127.0.0.1:1/v1"})


def test_a_model_that_is_not_asked_at_an_address_is_told(root):
    wanted = open_models(root, {"name": "echo", "base_url": HERE})
    assert wanted.notes == ("echo is a model of the runner echo: its base_url is not asked",)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({"base_url": HERE}, {"base_url": THERE}, f"'m' at {THERE} would have the name 'm', as 'm' at {HERE} of exp"),
        (
            {"base_url": HERE, "api_key": "$ONE"},
            {"base_url": HERE, "api_key": "$TWO"},
            f"'m' at {HERE} with the key in TWO would have the name 'm', as 'm' at {HERE} with the key in ONE of exp",
        ),
        ({"base_url": HERE, "name": "o/m"}, {"base_url": HERE, "name": "o-m"}, "would have the name 'o-m', as 'o/m'"),
        ({"name": "priced"}, {"name": "priced", "base_url": OPENAI}, "as model 'priced' of the workspace of ex"),
        (
            {"name": "priced", "base_url": HERE},
            {"name": "priced", "base_url": HERE, "api_key": "$TWO"},
            "with the key in TWO would have the name 'priced'",
        ),
        ({"base_url": HERE}, {"base_url": HERE, "name": "M"}, "'M' and 'm' differ in case alone"),
    ],
)  # fmt: skip
def test_two_endpoints_that_come_to_one_name_are_refused(root, first, second, told):
    with pytest.raises(UsageError, match="aliased_name") as raised:
        open_models(root, {"name": "m", **first}, {"name": "m", **second})
    assert str(raised.value).startswith(str(root / "experiments" / "set.json"))
    assert told in str(raised.value)


def test_two_endpoints_with_names_of_their_own_are_two_cells_and_one_endpoint_is_one(root):
    models = [{"name": "m", "base_url": url, "aliased_name": f"m-{n}"} for n, url in enumerate((HERE, THERE))]
    cells = open_models(root, *models, models[0]).cells
    assert [(cell.model.name, cell.model.params["base_url"], cell.repeats) for cell in cells] == [
        ("m-0", HERE, 2),
        ("m-1", THERE, 1),
    ]


@pytest.mark.parametrize(
    ("model", "params", "told"),
    [
        (
            "priced",
            {"base_url": THERE},
            f"the key in HOME_KEY is for {HERE}, and would be sent there",
        ),
        ("gpt-4o", {"base_url": OPENAI.replace("https", "http")}, f"the key in OPENAI_API_KEY is for {OPENAI}, and"),
        ("gpt-4o", {"azure_endpoint": "https://x.openai.azure.com"}, "azure_endpoint = 'https://x.openai.azure.com': "),
        ("azure", {"azure_endpoint": "https://y.openai.azure.com"}, "AZURE_KEY is for https://x.openai.azure.com, and"),
    ],
)
def test_a_set_that_moves_a_model_says_which_key_is_sent_there(root, model, params, told):
    common = {"dataset": "words", "model": model, "params": params}
    with pytest.raises(UsageError, match=f"set.yaml: common: model '{model}': ") as raised:
        open_native(root, json.dumps({"common": common}))
    assert told in str(raised.value)
    with pytest.raises(UsageError, match="say api_key_env too"):
        api.run(models=[model], dataset="words", params=params, workspace=root)
    with pytest.raises(UsageError, match="say api_key_env too"):
        api.try_model(model, [root / "none.png"], "what?", params=params, workspace=root)
    assert not (root / "results").exists()
    for key in ("", "OTHER_KEY"):
        moved = {**params, "api_key_env": key}
        (cell,) = open_native(root, json.dumps({"common": {**common, "params": moved}})).cells
        assert cell.overrides == moved


def test_the_same_host_and_models_without_a_key_can_be_moved(root):
    params = {"base_url": "http://127.0.0.1:1/v2"}
    for model in ("priced", "local-openai"):
        common = {"dataset": "words", "model": model, "params": params}
        assert open_native(root, json.dumps({"common": common})).cells[0].overrides == params


@pytest.mark.slow
def test_an_endpoint_receives_the_key_that_the_payload_names_and_no_other(tmp_path, monkeypatch):
    root = make_repository(tmp_path).root
    write_words(root, ["one", "two"])
    (root / "experiments").mkdir()
    for name in ("OPENAI_API_KEY", "OTHER_KEY"):
        monkeypatch.setenv(name, f"sk-of-{name}")
    with chat_server() as server:
        for number, key in enumerate(["$OTHER_KEY", "EMPTY"]):
            open_models(root, {"name": "gpt-4o", "base_url": server.url, "api_key": key})
            outcome = api.run_set("set", name=f"run-{number}", workspace=root)
            assert outcome.is_complete
            assert [model.spent.cost for model in outcome.runs[0].models] == [0]
        came = [request["authorization"] for request in server.requests()]
    wanted = ["Bearer sk-of-OTHER_KEY"] * 2 + [""] * 2
    assert came == [hashlib.sha256(key.encode()).hexdigest() for key in wanted]
