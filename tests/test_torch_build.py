"""Whether an environment holds the build of torch that was asked for shows in torch's own version file."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.config import open_workspace
from orchestrator.doctor import examine
from orchestrator.env.fingerprint import fingerprint, source_digest
from orchestrator.env.folders import env_folder
from orchestrator.env.interpreter import probe
from orchestrator.env.state import State, write_state
from orchestrator.env.torch_build import find_build, find_mismatch, find_waste
from orchestrator.manifest import read_runner

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
        (CPU.replace("hip: Optional[str] = None", "hip: Optional[str] = '6.3.42131-fa1d09cbd'"), "rocm6.3"),
        (CPU + "xpu: Optional[str] = '20250101'\n", "xpu"),
    ],
)
def test_the_build_is_read_from_the_version_file(tmp_path, content, build):
    assert find_build(make_env(tmp_path, content)) == build


def test_an_environment_without_torch_has_none(tmp_path):
    assert find_build(tmp_path) is None
    assert find_mismatch(tmp_path, "cpu") is None


@pytest.mark.parametrize(
    ("backend", "driver", "is_right"),
    [
        ("cpu", "570.86", True),
        (None, "570.86", True),
        ("auto", None, True),
        ("auto", "570.86", False),
        ("cu128", None, False),
        ("rocm6.3", None, False),
        ("xpu", None, False),
    ],
)
def test_another_build_than_asked_for_is_told(tmp_path, backend, driver, is_right):
    mismatch = find_mismatch(make_env(tmp_path, CPU), backend, driver)
    assert mismatch is None if is_right else f"a build for cpu, and {backend} was asked for" in mismatch


def test_a_build_that_cannot_use_the_gpu_is_told(tmp_path):
    assert "torch came as a build for the CPU" in find_waste(make_env(tmp_path / "cpu", CPU), "570.86")
    assert find_waste(tmp_path / "cpu", None) is None
    assert find_waste(make_env(tmp_path / "gpu", CPU.replace("None\nhip", "'12.8'\nhip")), "570.86") is None


def test_the_doctor_tells_the_build_of_a_runners_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
    driver = tmp_path / "driver"
    driver.write_text("570.86\n")
    monkeypatch.setattr("orchestrator.env.fingerprint._DRIVER_VERSION", driver)
    folder = tmp_path / "runners" / "mine"
    folder.mkdir(parents=True)
    (tmp_path / "bakeoff.toml").touch()
    for name, text in (("runner.toml", 'accelerator = "cuda"'), ("runner.py", ""), ("requirements.txt", "torch==2")):
        (folder / name).write_text(text)
    workspace, here = open_workspace(tmp_path), probe(Path(sys.executable))
    runner = workspace.discovery.runners["mine"]
    env = make_env(env_folder(workspace, runner, fingerprint(workspace, runner, here)), CPU)
    state = {"fingerprint": "f", "source": source_digest(workspace, runner), "runner": "mine", "interpreter": here}
    sizes = {"uv": "0", "built_at": datetime.now(UTC), "size_bytes": 0, "contents": frozenset(), "unverified": ()}
    write_state(env, State(**state, **sizes, locked=True, packages={}, torch_backend=None, torch_build="cpu"))
    (found,) = (finding for finding in examine(workspace) if "torch is a build" in finding.state)
    assert (found.what, found.state) == ("runner mine", "torch is a build for cpu")
    assert "this machine has a GPU, and torch came as a build for the CPU" in found.problem


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Return a function that gives the fingerprint of a runner with torch, given wheels by name and a backend."""
    monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
    (tmp_path / "mine").mkdir()
    for name, text in (("runner.toml", ""), ("runner.py", ""), ("requirements.txt", "torch==2.13.0\n")):
        (tmp_path / "mine" / name).write_text(text)
    here = probe(Path(sys.executable))

    def fingerprint_with(*wheels, backend="", requirements="torch==2.13.0\n"):
        folder = tmp_path / f"wheels-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for wheel in wheels:
            (folder / wheel).touch()
        (tmp_path / "mine" / "requirements.txt").write_text(requirements)
        (tmp_path / "bakeoff.toml").write_text(f'[settings]\ntorch_backend = "{backend}"\n' if backend else "")
        monkeypatch.setenv("UV_FIND_LINKS", str(folder))
        return fingerprint(open_workspace(tmp_path), read_runner(tmp_path / "mine"), here)

    return fingerprint_with


def test_a_build_that_a_wheel_folder_offers_is_part_of_the_environments_identity(ask):
    cpu, cuda = "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl", "torch-2.13.0%2Bcu128-cp311-cp311-linux_x86_64.whl"
    plain = ask()
    assert len({plain, ask(cpu), ask(cuda), ask(cpu, cuda)}) == 4
    assert ask(cpu) == ask(cpu)  # the folder itself is not
    assert ask("torch-2.12.0+cpu-cp311-cp311-linux_x86_64.whl") == plain  # the lock pins another
    assert ask("torchvision-0.28.0+cpu-cp311-cp311-linux_x86_64.whl") == plain
    assert ask(cpu, backend="cu128") == ask(backend="cu128")  # which says it already
    assert ask(cpu, requirements="numpy==2.0\n") == ask(requirements="numpy==2.0\n")
