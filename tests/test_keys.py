"""A model whose key is not set fails with one sentence, before anything is built or started for it."""

import pytest
from PIL import Image

from orchestrator import api
from orchestrator.scaffold import init_workspace
from tests.workers import OURS

SAYS = "def load(params):\n    return None\n\ndef generate(_, request):\n    return {'text': request['prompt']}\n"
UNSET = "the variable KEY_OF_NOBODY is not set: set it in the environment or in the workspace's .env file, or say "


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Make a workspace with a model of each kind: one that needs its key, and one that only takes it."""
    monkeypatch.delenv("KEY_OF_NOBODY", raising=False)
    root = init_workspace(tmp_path / "ws")
    for name, needed in (("keyed", 'required_env = ["api_key_env"]\n'), ("open", "")):
        folder = root / "runners" / name
        folder.mkdir()
        (folder / "requirements.txt").touch()
        (folder / "runner.py").write_text(SAYS)
        rest = '[defaults]\napi_key_env = "KEY_OF_NOBODY"\nsize = 1\n'
        (folder / "runner.toml").write_text(f'python = "{OURS}"\n{needed}{rest}')
    monkeypatch.chdir(root)
    return root


def envs(root):
    return [path.name for path in (root / "envs").glob("*") if not path.name.startswith(".")]


def test_without_its_key_nothing_is_built_and_no_worker_started(root, bakeoff):
    code, _, err = bakeoff("run", "--model", "keyed", "--dataset", "tiny-docs", "--limit", "2")
    assert code == 3
    assert err.count(UNSET) == 1
    assert f'keyed: 0 of 2 answered; FAILED: {UNSET}api_key_env = "" where none is needed' in err
    assert envs(root) == []
    assert not list((root / "results" / "tiny-docs").glob("logs/*"))


def test_the_runner_of_apis_says_so_of_its_models(root, bakeoff, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    code, _, err = bakeoff("run", "--model", "gpt-4o", "--dataset", "tiny-docs", "--limit", "2")
    assert code == 3
    assert "gpt-4o: 0 of 2 answered; FAILED: the variable OPENAI_API_KEY is not set" in err
    assert envs(root) == []
    Image.new("L", (8, 8)).save(root / "page.png")
    code, _, err = bakeoff("try", "gpt-4o", root / "page.png", "?")
    assert code == 3
    assert err.startswith("error: model 'gpt-4o' failed: the variable OPENAI_API_KEY is not set")
    assert envs(root) == []


def test_what_several_settings_of_a_model_lack_is_told_once(root, bakeoff):
    (root / "set.yaml").write_text(
        "common: {model: keyed, dataset: tiny-docs, limit: 2}\ngrid: {params.size: [1, 2, 3]}"
    )
    code, _, err = bakeoff("run", "set.yaml")
    assert code == 3
    assert err.count(UNSET) == 1
    assert err.count("0 of 2 answered; FAILED: for the same reason") == 2


def test_other_models_are_asked_and_one_that_only_takes_a_key_runs_without(root):
    ran = api.run(models=["keyed", "open"], dataset="tiny-docs", limit=2, workspace=root)
    assert [(model.answered, bool(model.error)) for model in ran.models] == [(0, True), (2, False)]


def test_an_empty_name_or_a_set_variable_will_do(root, monkeypatch):
    options = {"models": "keyed", "dataset": "tiny-docs", "limit": 2, "workspace": root}
    assert api.run(**options, params={"api_key_env": ""}, name="none").is_complete
    (root / ".env").write_text("KEY_OF_NOBODY=x\n")
    assert api.run(**options).is_complete
    (root / ".env").unlink()
    assert api.run(**options).is_complete, "all is answered, which takes no key"


def test_a_dry_run_tells_below_its_table_what_will_fail_and_what_is_shared(root, bakeoff):
    (root / "prompts" / "terse.txt").write_text("Read it.")
    manifest = root / "runners" / "open" / "runner.toml"
    manifest.write_text("ignores_prompt = true\n" + manifest.read_text())
    options = ("--dataset", "tiny-docs", "--prompt", "question", "--prompt", "terse", "--dry-run")
    code, out, _ = bakeoff("run", "--model", "open", "--model", "keyed", *options)
    assert code == 0
    told = "12 requests of 1 cell are the same as those of a cell above, and asked once; open reads the page whatever"
    assert told in out
    assert f"\nkeyed will fail: {UNSET}" in out
    assert "open will fail" not in out
    code, out, err = bakeoff("run", "--model", "vllm", "--dataset", "tiny-docs", "--dry-run")
    assert (code, out) == (2, "")
    assert err.startswith("error: model 'vllm' needs a checkpoint")
