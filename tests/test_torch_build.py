"""Whether an environment holds the build of torch that was asked for shows in torch's own version file."""

import pytest

from orchestrator.env.torch_build import find_build, find_mismatch

CPU = "from typing import Optional\n__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\n"


def make_env(root, content):
    folder = root / "lib" / "python3.11" / "site-packages" / "torch"
    folder.mkdir(parents=True)
    (folder / "version.py").write_text(content)
    return root


@pytest.mark.parametrize(
    ("content", "build"),
    [
        (CPU, "cpu"),
        (CPU.replace("None\nhip", "'12.8'\nhip"), "cu128"),
        ("__version__ = '1.0'\ncuda = '11.8'\n", "cu118"),
    ],
)
def test_the_build_is_read_from_the_version_file(tmp_path, content, build):
    assert find_build(make_env(tmp_path, content)) == build


def test_an_environment_without_torch_has_none(tmp_path):
    assert find_build(tmp_path) is None
    assert find_mismatch(tmp_path, "cpu") is None


@pytest.mark.parametrize(("backend", "is_right"), [("cpu", True), (None, True), ("auto", True), ("cu128", False)])
def test_another_build_than_asked_for_is_told(tmp_path, backend, is_right):
    mismatch = find_mismatch(make_env(tmp_path, CPU), backend)
    assert mismatch is None if is_right else "a build for cpu, and cu128 was asked for" in mismatch
