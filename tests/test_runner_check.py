"""What `runner check` says of a runner whose code is wrong: each reason once, with the file."""

import pytest

from orchestrator import api
from tests.workers import OURS

LOAD = "def load(params):\n    return None\n\n\n"


@pytest.fixture
def problems(workspace):
    def check(code):
        folder = workspace.root / "runners" / "mine"
        folder.mkdir()
        (folder / "requirements.txt").touch()
        (folder / "runner.toml").write_text(f'python = "{OURS}"\n')
        (folder / "runner.py").write_text(code)
        found = list(api.check_runner("mine", workspace.root))
        return folder / "runner.py", [(one.what, one.state, one.problem) for one in found if one.problem]

    return check


def test_what_all_answers_fail_by_is_told_once_with_file_and_line(problems):
    path, found = problems(LOAD + "def generate(_, request):\n    return {'text': 1 + 'x'}\n")
    ((what, state, problem),) = found
    assert (what, state) == ("answer", "3 of 3 failed")
    assert problem.startswith("bug: TypeError: unsupported operand")
    assert problem.endswith(f"({path}, line 6, in generate)")


def test_where_no_line_of_the_runner_raised_it_the_file_is_told_all_the_same(problems):
    path, found = problems(LOAD + "def generate(request):\n    return {'text': 'x'}\n")
    ((_, state, problem),) = found
    assert state == "3 of 3 failed"
    assert problem.endswith(f"takes 1 positional argument but 2 were given ({path}, none of its own lines raised it)")


def test_what_fails_in_load_is_told_with_its_line(problems):
    path, found = problems("def load(params):\n    return params['x']\n\n\ndef generate(_, request):\n    return {}\n")
    ((what, _, problem),) = found
    assert what == "load"
    assert problem.endswith(f"({path}, line 2, in load)")
