"""A worker gets the variables that its runner and its model name, from the environment or the workspace's `.env`."""

import pytest

from orchestrator import api
from orchestrator.config import open_workspace
from orchestrator.errors import BakeoffError
from orchestrator.variables import read_variables
from tests.workers import spec_of


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("A_KEY=from file\nexport B_KEY='$HOME and # more'\n# C_KEY=no\n")
    monkeypatch.setenv("A_KEY", "from outside")
    assert read_variables(tmp_path, ["A_KEY", "B_KEY", "C_KEY"]) == {
        "A_KEY": "from outside",
        "B_KEY": "$HOME and # more",
    }


def test_without_a_file_there_is_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("A_KEY", "x")
    assert read_variables(tmp_path, ["A_KEY", "D_KEY"]) == {"A_KEY": "x"}


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / ".env").write_bytes(b"A_KEY=\xff\xfe\n")
    with pytest.raises(BakeoffError, match=r"\.env: cannot be read: "):
        read_variables(tmp_path, ["A_KEY"])


def test_a_line_that_sets_nothing_is_told_by_its_number(tmp_path):
    (tmp_path / ".env").write_text("A_KEY=x\nthis is no line\n")
    with pytest.raises(BakeoffError, match=r"\.env: line 2 is not NAME=value; mend or delete it"):
        read_variables(tmp_path, ["A_KEY"])


def test_an_empty_variable_hides_none_of_the_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("A_KEY=from file\n")
    monkeypatch.setenv("A_KEY", "")
    monkeypatch.setenv("B_KEY", "")
    assert read_variables(tmp_path, ["A_KEY", "B_KEY"]) == {"A_KEY": "from file", "B_KEY": ""}


@pytest.mark.parametrize("line", ["sk-abcdefgh12345", "0123456789abcdef0123456789abcdef", "Zx81k2Pq0aB7c3d9E5"])
def test_a_key_without_a_name_is_told_and_not_shown(tmp_path, line):
    (tmp_path / ".env").write_text(f"A_KEY=x\n{line}\n")
    with pytest.raises(
        BakeoffError, match=r"\.env: line 2 has no name for its value; write NAME=value, such as"
    ) as told:
        read_variables(tmp_path, ["A_KEY"])
    assert line not in str(told.value)


def test_a_name_alone_sets_nothing(tmp_path):
    (tmp_path / ".env").write_text("A_KEY=x\nB_KEY\n")
    assert read_variables(tmp_path, ["A_KEY", "B_KEY"]) == {"A_KEY": "x"}


def test_a_variable_that_a_models_parameter_names_is_passed_on_and_is_a_secret(workspace):
    (workspace.root / ".env").write_text("MY_ACCESS=0123456789\nOTHER_KEY=not asked for\n")
    spec = spec_of(workspace, "echo", {"api_key_env": "MY_ACCESS"})
    assert spec.environment["MY_ACCESS"] == "0123456789"
    assert "OTHER_KEY" not in spec.environment
    assert spec.secrets == {"MY_ACCESS": "0123456789"}
    assert "0123456789" not in repr(spec)


def test_what_a_model_says_of_such_a_variable_is_taken_out(workspace):
    (workspace.root / ".env").write_text("MY_ACCESS=a-value-to-hide\n")
    (workspace.root / "datasets" / "words.csv").write_text("question,answer\nsay a-value-to-hide now,x\n")
    (workspace.root / "bakeoff.toml").write_text('[models.mine]\nrunner = "echo"\napi_key_env = "MY_ACCESS"\n')
    outcome = api.run(models="mine", dataset="words", workspace=open_workspace(workspace.root))
    written = b"".join(path.read_bytes() for path in (outcome.folder / "predictions").iterdir())
    assert b"a-value-to-hide" not in written
