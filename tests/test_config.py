"""A workspace knows its settings and its models, and says in one sentence what is wrong with them."""

import re

import pytest

from orchestrator.config import (
    find_workspace,
    get_model,
    get_runner,
    list_models,
    open_workspace,
    refuse_secrets,
    resource_path,
)
from orchestrator.errors import BakeoffError, UsageError
from tests.test_manifest import add_runner


@pytest.fixture
def root(tmp_path):
    """Make a workspace with one runner of two models."""
    (tmp_path / "bakeoff.toml").touch()
    models = "[defaults]\nsize = 1\ncolour = true\n[models.small]\n[models.large]\nsize = 9\n"
    add_runner(tmp_path / "runners", "mine", manifest=models)
    return tmp_path


def test_every_setting_has_a_default(root):
    settings = open_workspace(root).settings
    assert (settings.launcher, settings.item_timeout_s, settings.load_timeout_s) == ((), 120, 1800)
    assert (settings.disk_floor_mb, settings.image_folders) == (200, ())


def test_the_nearest_workspace_upwards_is_found(root, monkeypatch):
    (root / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(root / "a" / "b")
    workspace = find_workspace()
    assert workspace.root == root
    assert (workspace.envs, workspace.results) == (root / "envs", root / "results")


def test_no_workspace_is_a_sentence_with_a_remedy(tmp_path):
    with pytest.raises(UsageError, match=r"no bakeoff\.toml here or above; run `bakeoff init` or give --workspace"):
        find_workspace(tmp_path)
    with pytest.raises(UsageError, match=r"is not a workspace, it has no bakeoff\.toml; run `bakeoff init"):
        open_workspace(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[setings]", "unknown key 'setings'; did you mean 'settings'?"),
        ("[settings]\nitem_timeout = 5", "unknown key 'settings.item_timeout'; did you mean 'item_timeout_s'?"),
        ("[settings]\nitem_timeout_s = -1", "key 'settings.item_timeout_s' should be greater than 0, got -1"),
        ("[settings]\ndisk_floor_mb = -1", "key 'settings.disk_floor_mb' should be greater than or equal to 0, got -1"),
        ('[settings]\nimage_folders = "/data"', "key 'settings.image_folders' should be a list, got '/data'"),
        (
            '[settings]\nimage_folders = [""]',
            "key 'settings.image_folders': an empty text is no folder; for all of the",
        ),
        ('[settings]\nimage_folders = [" "]', "key 'settings.image_folders': an empty text is no folder"),
        ('[settings]\nimage_folders = ["a\\u0000b"]', r"key 'settings.image_folders': 'a\x00b' holds a NUL"),
        (
            '[settings]\nimage_folders = ["~nobody-here/a"]',
            "key 'settings.image_folders': '~nobody-here/a' begins with no user's home; for a folder of this",
        ),
        ('[settings]\nlauncher = "srun"', "key 'settings.launcher' should be a list, got 'srun'"),
        ("[models.mine]\nsize = 1", "key 'models': model 'mine' must say which runner it is of"),
        ("[models.mine]\nrunner = 1", "key 'models': model 'mine' must say which runner it is of"),
        ("[settings", "is not valid TOML: "),
    ],
)
def test_a_defect_names_file_key_value_and_nearest_key(tmp_path, text, sentence):
    (tmp_path / "bakeoff.toml").write_text(text)
    with pytest.raises(BakeoffError) as caught:
        open_workspace(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'bakeoff.toml'}: {sentence}")
    assert "\n" not in str(caught.value)


def test_a_models_parameters_overlay_the_defaults(root):
    workspace = open_workspace(root)
    assert get_model(workspace, "small").params == {"size": 1, "colour": True}
    assert get_model(workspace, "large").params == {"size": 9, "colour": True}
    assert get_model(workspace, "large").runner.name == "mine"


def test_a_runner_without_models_is_a_model_of_its_name(root):
    add_runner(root / "runners", "plain", manifest="[defaults]\na = 1\n")
    model = get_model(open_workspace(root), "plain")
    assert (model.name, model.runner.name, model.params) == ("plain", "plain", {"a": 1})


def test_a_model_of_the_workspace_overlays_and_wins(root):
    (root / "bakeoff.toml").write_text(
        '[models.huge]\nrunner = "mine"\nsize = 99\n[models.small]\nrunner = "mine"\nsize = 0\n'
    )
    models = list_models(open_workspace(root))
    assert models["huge"].params == {"size": 99, "colour": True}
    assert models["small"].params == {"size": 0, "colour": True}


def test_image_folders_are_absolute_or_of_the_workspace(root, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    (root / "bakeoff.toml").write_text('[settings]\nimage_folders = ["/data/scans", "scans", "../up", "~/mine"]\n')
    folders = open_workspace(root).image_folders
    assert [str(folder) for folder in folders] == ["/data/scans", f"{root}/scans", f"{root}/../up", "/home/me/mine"]


@pytest.mark.parametrize("place", ["bakeoff.toml", "defaults", "models.small"])
def test_a_secret_in_the_configuration_is_refused_when_the_model_is_used(root, place):
    if place == "bakeoff.toml":
        (root / place).write_text('[models.small]\nrunner = "mine"\napi_key = "sk-0123456789"\n')
    else:
        text = f'[{place}]\napi_key = "sk-0123456789"\n' + ("[models.small]\n" if place == "defaults" else "")
        (root / "runners/mine/runner.toml").write_text(text)
    workspace = open_workspace(root)
    assert "small" in list_models(workspace)
    with pytest.raises(UsageError) as caught:
        get_model(workspace, "small")
    assert str(caught.value) == (
        "model small: 'api_key' would land in every result; put the secret into an environment variable or the "
        'workspace\'s .env, and name the variable with `api_key_env = "…"`'
    )


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        *((name, "api_key_env") for name in ("api_key", "API_KEY", "api-key", "apiKey", "APIKey")),
        *((name, "hf_token_env") for name in ("hf_token", "HF_TOKEN", "hfToken", "HFToken", "hf-token")),
        *((name, "access_token_env") for name in ("access_token", "accessToken", "Access-Token")),
        *(
            (name, f"{name}_env")
            for name in ("apikey", "openai_api_key", "token", "id_token", "github_token", "hftoken")
        ),
        *(
            (name, f"{name}_env")
            for name in ("secret", "client_secret", "password", "db_password", "secret_access_key")
        ),
        *((name, f"{name}_env") for name in ("authorization", "auth", "proxy_auth", "api_keys", "use_auth_token")),
        ("X-Api-Key", "x_api_key_env"),
    ],
)
def test_a_parameter_is_a_secret_by_its_name(name, variable):
    with pytest.raises(UsageError, match=rf"--param: '{name}' would land in .* name the variable with `{variable} = "):
        refuse_secrets({"size": 1, name: "12345678"}, "--param")
    with pytest.raises(UsageError, match=rf"--param: 'headers\.{name}' would land in .*`api_key_env = "):
        refuse_secrets({"headers": {name: "12345678"}}, "--param")
    for value in (12345678, 1234.5678, ["12345678"], [1, 12345678]):
        with pytest.raises(UsageError, match=f"'{name}"):
            refuse_secrets({name: value}, "--param")
    for value in ("1234567", 1234567, True, None, [], {}):
        refuse_secrets({name: value, "a": {name: value}, "b": [{name: value}]}, "--param")


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"servers": [{"size": 1}, {"api_key": "12345678"}]}, "servers.1.api_key"),
        ({"a": [[{"b": {"token": 12345678}}]]}, "a.0.0.b.token"),
        ({"base_url": "https://me:pw@example.org/v1"}, "base_url"),
        ({"proxies": ["http://a", "socks5://:pw@b"]}, "proxies.1"),
        ({"auth": ["somebody", "hunter2hunter2"]}, "auth.1"),
        ({"api_key": "OPENAI_API_KEY"}, "api_key"),
    ],
)
def test_a_secret_is_found_wherever_it_is(params, path):
    with pytest.raises(UsageError, match=f"^--param: '{re.escape(path)}' would land in every result; "):
        refuse_secrets(params, "--param")


def test_an_address_needs_a_key_beside_it():
    with pytest.raises(UsageError, match="name the variable with `api_key_env = "):
        refuse_secrets({"base_url": "https://me:pw@example.org/v1"}, "--param")


def test_parameters_nested_deeply_are_no_traceback():
    deep: object = {"token": "12345678"}
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(UsageError):
        refuse_secrets({"a": deep}, "--param")


@pytest.mark.parametrize(
    "params",
    [
        {
            "max_new_tokens": "12345678",
            "tokens": "a lot of them",
            "token_count": "12345678",
            "tokenizer": "a/tokenizer",
        },
        {"image_token": "IMG_CONTEXT", "eos_token": "</s></s>", "pad_token_id": "12345678", "plan_token": "<|plan|>"},
        {"image_start_token": "imgstart", "separator_token": "ASSISTANT:", "answer_token": "Answer is:"},
        {
            "prefix_token": "Question: ",
            "stop_token": ["Question:"],
            "imageToken": "IMG_CONTEXT",
            "id_token": "<|the-id|>",
        },
        {"key": "12345678", "api_key_env": "OPENAI_API_KEY", "secretary": "12345678", "monkey": "12345678"},
        {"token_env": "HF_TOKEN_OF_MINE", "url_env": "MY_URL", "headers": {"auth_env": "12345678"}},
        {"token": "", "password": None, "auth": "managed_identity", "use_auth_token": True},
        {"base_url": "http://[::1]:8000/v1/@me:you", "mail": "me@example.org", "image": "registry:5000/a@sha256:0"},
    ],
)
def test_other_parameters_are_no_secrets(params):
    refuse_secrets(params, "--param")


def test_an_unknown_model_is_told_with_the_nearest(root):
    with pytest.raises(UsageError) as caught:
        get_model(open_workspace(root), "Larg")
    assert str(caught.value) == ("there is no model 'Larg'; did you mean 'large'? (`bakeoff list models` shows all)")


def test_a_model_of_an_unknown_or_broken_runner_is_told_why(root):
    add_runner(root / "runners", "broken", manifest="x = 1")
    (root / "bakeoff.toml").write_text('[models.a]\nrunner = "mien"\n[models.b]\nrunner = "broken"\n')
    workspace = open_workspace(root)
    with pytest.raises(UsageError, match=r"bakeoff\.toml: model 'a': there is no runner 'mien'; did you mean 'mine'"):
        get_model(workspace, "a")
    with pytest.raises(UsageError, match=r"model 'b': .*broken/runner\.toml: unknown key 'x'"):
        get_model(workspace, "b")
    with pytest.raises(UsageError, match=r"model 'broken' cannot be used: .*unknown key 'x'"):
        get_model(workspace, "broken")


def test_an_unknown_model_or_runner_is_told_with_the_runners_that_cannot_be_used(root):
    for number in range(4):
        add_runner(root / "runners", f"broken{number}", manifest="x = 1")
    workspace = open_workspace(root)
    for get in (get_model, get_runner):
        with pytest.raises(UsageError) as caught:
            get(workspace, "sleep-a")
        assert "(`bakeoff list " in str(caught.value)
        assert "; runner broken0 cannot be used: " in str(caught.value)
        assert str(caught.value).endswith("; nor can 1 others, see `bakeoff list runners`")


def test_an_unknown_or_broken_runner_is_told(root):
    add_runner(root / "runners", "broken", manifest="x = 1")
    workspace = open_workspace(root)
    assert get_runner(workspace, "mine").name == "mine"
    with pytest.raises(UsageError, match="there is no runner 'main'; did you mean 'mine'"):
        get_runner(workspace, "main")
    with pytest.raises(UsageError, match="unknown key 'x'"):
        get_runner(workspace, "broken")


def test_a_resource_is_a_name_in_the_workspace_or_a_path(root, tmp_path, monkeypatch):
    (root / "prompts").mkdir()
    inside = root / "prompts" / "ask.txt"
    inside.touch()
    outside = tmp_path / "other.txt"
    outside.touch()
    workspace = open_workspace(root)
    monkeypatch.chdir(tmp_path)
    assert resource_path(workspace, "prompts", "ask") == inside
    assert resource_path(workspace, "prompts", "ask.txt") == inside
    assert resource_path(workspace, "prompts", "other.txt") == outside
    assert resource_path(workspace, "prompts", str(outside)) == outside
    assert resource_path(workspace, "prompts", "nothing") is None


@pytest.mark.parametrize(
    "pasted",
    [
        *("sk-abcdefgh12345678901234567890", "0123456789abcdef0123456789abcdef", "AIzaSyD4canary12345678901234567"),
        *("gsk_Zx81k2Pq0aB7c3d9E5f6", "hf_abcdefgh1234567890", "my key", "${OPENAI_API_KEY}", "OPENAI-API-KEY"),
    ],
)
def test_a_key_in_place_of_its_variables_name_is_refused_and_not_shown(root, pasted):
    (root / "bakeoff.toml").write_text(f'[models.my]\nrunner = "mine"\napi_key_env = "{pasted}"\n')
    told = "'api_key_env' is no variable's name: name the variable, such as `api_key_env = \"MY_API_KEY\"`, not the key"
    for act in (
        lambda: get_model(open_workspace(root), "my"),
        lambda: refuse_secrets({"api_key_env": pasted}, "--param"),
    ):
        with pytest.raises(UsageError, match=re.escape(told)) as error:
            act()
        assert pasted not in str(error.value)


@pytest.mark.parametrize("name", ["", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY_2", "_k", "MY_COMPANY_KEY_FOR_EUROPE_17"])
def test_a_variables_name_is_taken(name):
    refuse_secrets({"api_key_env": name}, "--param")


@pytest.mark.parametrize(
    "query", ["key=AIzaSyD", "api-version=1&api-key=x", "token=t", "X-Amz-Signature=1", "sig=a%2B"]
)
def test_an_address_with_a_key_in_it_is_refused(query):
    with pytest.raises(UsageError, match=r"'base_url' would land in every result; .*`api_key_env = ") as told:
        refuse_secrets({"base_url": f"https://host/v1?{query}"}, "--param")
    assert query not in str(told.value)


def test_an_address_may_have_other_fields():
    refuse_secrets({"base_url": "https://host/v1?api-version=2024-10-21&key=&q=monkey#token=x"}, "--param")


def test_a_cookie_is_a_secret():
    with pytest.raises(UsageError, match=r"'headers\.Cookie' would land in every result"):
        refuse_secrets({"headers": {"Cookie": "session=abcdef0123456789"}}, "--param")
