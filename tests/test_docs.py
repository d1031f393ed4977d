"""What the documentation says is true: its runners run as written, its links lead somewhere, its commands exist."""

import re
import shutil
from pathlib import Path

import click
import pytest

from orchestrator import api
from orchestrator.cli import cli
from orchestrator.config import get_model, open_workspace
from orchestrator.scaffold import init_workspace
from tests.servers.chat import chat_server

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
# A file of an example: its path in backticks on a line of its own, then its content in a fence.
EXAMPLE = re.compile(r"^`(runners/[\w./]+)`\n\n```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
EMPTY = re.compile(r"^`(runners/[\w./]+)` is an empty file", re.MULTILINE)


def write_examples(root, page="runner.md"):
    """Write the runners of a page into a workspace, from the page's text alone."""
    text = (ROOT / "docs" / page).read_text()
    for name, content in (*EXAMPLE.findall(text), *((name, "") for name in EMPTY.findall(text))):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def run_example(tmp_path, name, page="runner.md"):
    root = init_workspace(tmp_path / "ws")
    write_examples(root, page)
    (model,) = api.run(models=[name], dataset="tiny-docs", limit=9, workspace=root).models
    assert (model.error, model.ok) == (None, model.total)


def test_the_node_runner_of_the_docs_runs_as_written(tmp_path):
    if shutil.which("node") is None:
        pytest.skip("there is no node on this machine")
    run_example(tmp_path, "node_echo")


@pytest.mark.slow
def test_the_python_runner_of_the_docs_runs_as_written(tmp_path):
    run_example(tmp_path, "page-size")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_command_in_the_docs_exists():
    fences = (
        fence
        for page in PAGES
        for fence in re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    )
    named = set(re.findall(r"^(?:\$ )?bakeoff ([a-z]+)", "\n".join(fences), re.MULTILINE))
    assert named
    assert named <= set(cli.list_commands(None))


def commands(group, before=()):
    """Return the names of a group's commands, of those within it too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        is_kinds = (*before, name) == ("dataset", "import")
        if isinstance(command, click.Group) and not is_kinds:
            yield from commands(command, (*before, name))
        else:
            yield " ".join((*before, name))


def test_every_command_stands_in_the_table_of_commands():
    text = (ROOT / "docs" / "cli.md").read_text()
    named = set(re.findall(r"^\| `([a-z-]+(?: [a-z-]+)?)", text, re.MULTILINE))
    for first, several in re.findall(r"^\| `([a-z-]+) ([a-z-]+(?:\\\|[a-z-]+)+)", text, re.MULTILINE):
        named |= {f"{first} {second}" for second in several.split("\\|")}
    assert [name for name in commands(cli) if name not in named and name.split()[0] not in named] == []


def test_a_runner_of_add_your_model_runs_as_written(tmp_path):
    run_example(tmp_path, "page-sizes-kb", "add-your-model.md")


def read_tables(root):
    """Return the models in the TOML of docs/add-your-model.md, opened as a workspace's own."""
    text = (ROOT / "docs" / "add-your-model.md").read_text()
    fences = re.findall(r"^```toml\n(\[models\..*?)^```", text, re.MULTILINE | re.DOTALL)
    (root / "bakeoff.toml").write_text("\n".join(fences))
    workspace = open_workspace(root)
    return {name: get_model(workspace, name) for name in workspace.own_models}


def test_models_of_add_your_model_have_parameters_that_their_runners_know(tmp_path):
    models = read_tables(tmp_path)
    assert {model.runner.name for model in models.values()} == {"openai", "qwen2_vl", "llava", "vllm"}
    for name, model in models.items():
        known = {"checkpoint", *model.runner.manifest.defaults}
        assert (name, set(model.params) - known) == (name, set())


def test_the_runner_of_a_family_is_shown_as_it_is():
    code = (ROOT / "runners" / "qwen2_vl" / "runner.py").read_text()
    assert f"```python\n{code}```" in (ROOT / "docs" / "add-your-model.md").read_text()


@pytest.mark.slow
def test_an_api_of_add_your_model_answers_with_its_key_from_the_env_file(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    root = init_workspace(tmp_path / "ws")
    (ROOT / "envs").mkdir(exist_ok=True)
    (root / "envs").symlink_to(ROOT / "envs")
    read_tables(root)
    (root / ".env").write_text("OPENAI_API_KEY=sk-of-the-docs\n")
    with chat_server(key="sk-of-the-docs") as server:
        params = {"base_url": server.url, "api_key_env": "OPENAI_API_KEY"}
        outcome = api.run(models=["my-api"], dataset="tiny-docs", limit=8, params=params, workspace=root)
    (model,) = outcome.models
    assert (model.error, model.ok) == (None, model.total)
