"""What the documentation says is true: its runners run as written, its links lead somewhere, its commands exist."""

import re
import shutil
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.cli import cli
from orchestrator.scaffold import init_workspace

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
# A file of an example: its path in backticks on a line of its own, then its content in a fence.
EXAMPLE = re.compile(r"^`(runners/[\w./]+)`\n\n```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
EMPTY = re.compile(r"^`(runners/[\w./]+)` is an empty file", re.MULTILINE)


def write_examples(root):
    """Write the runners of docs/runner.md into a workspace, from the page's text alone."""
    text = (ROOT / "docs" / "runner.md").read_text()
    for name, content in (*EXAMPLE.findall(text), *((name, "") for name in EMPTY.findall(text))):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def run_example(tmp_path, name):
    root = init_workspace(tmp_path / "ws")
    write_examples(root)
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
