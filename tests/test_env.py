"""Environments are built once by real uv, offline, from wheels that the tests write themselves."""

import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from orchestrator.config import get_runner, open_workspace
from orchestrator.env import (
    check_env,
    collect_garbage,
    ensure_env,
    list_envs,
    lock_digest,
    lock_runner,
    use_env,
)
from orchestrator.env.constraints import read_constraints
from orchestrator.env.failures import explain
from orchestrator.errors import BakeoffError, DiskError, TryLaterError

OURS = ".".join(platform.python_version_tuple()[:2])


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Make an empty workspace with a wheel folder; uv has its own cache, no index and no network."""
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    (tmp_path / "bakeoff.toml").touch()
    return tmp_path


def add_runner(root, name="echo", requirements="", manifest=None):
    folder = root / "runners" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runner.toml").write_text(f'python = "{OURS}"\n' if manifest is None else manifest)
    (folder / "requirements.txt").write_text(requirements)
    (folder / "runner.py").write_text("def load(params): ...\ndef generate(state, request): ...\n")
    return folder


def add_wheel(folder, name, version, requires=(), files=1):
    """Write a wheel of `files` modules and return its path."""
    info = f"{name}-{version}.dist-info"
    content = {f"{name}/__init__.py": f"VERSION = {version!r}\n"}
    content |= {f"{name}/m{i}.py": f"x = {i}\n" for i in range(files)}
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(
        f"Requires-Dist: {need}\n" for need in requires
    )
    content[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = [f"{path},,{len(text)}" for path, text in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in content.items():
            archive.writestr(member, text)
    return path


def add_index(root, monkeypatch):
    """Offer the wheels as a package index too, for locks don't know of wheel folders."""
    for wheel in sorted((root / "wheels").glob("*.whl")):
        page = root / "index" / wheel.name.split("-")[0]
        page.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        with (page / "index.html").open("a") as html:
            html.write(f'<a href="{wheel.as_uri()}#sha256={digest}">{wheel.name}</a><br>\n')
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.setenv("UV_DEFAULT_INDEX", (root / "index").as_uri())


def build(root, name="echo", notes=None):
    workspace = open_workspace(root)
    return ensure_env(workspace, get_runner(workspace, name), [].append if notes is None else notes.append)


def start(root, before="", notify="print(text, flush=True)"):
    """Start a process that ensures the environment of `echo`."""
    script = f"""
import os, sys, time
from pathlib import Path
from orchestrator.config import get_runner, open_workspace
from orchestrator.env import ensure_env
def notify(text):
    {notify}
workspace = open_workspace(Path({str(root)!r}))
{before}
print(ensure_env(workspace, get_runner(workspace, "echo"), notify).folder)
"""
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def import_version(env, name):
    code = f"import {name}; print({name}.VERSION)"
    done = subprocess.run([env.python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_an_env_without_requirements_is_built_offline(root):
    add_runner(root)
    notes = []
    env = build(root, notes=notes)
    assert env.python.is_file()
    assert env.folder.parent == root / "envs"
    assert (env.packages, env.locked, env.python_version) == ({}, True, platform.python_version())
    assert notes == ["echo: building its environment, once, which is empty"]


def test_packages_are_installed_and_listed(root):
    add_wheel(root / "wheels", "leaf", "1.0")
    add_wheel(root / "wheels", "tree", "2.0", requires=["leaf>=1"])
    add_runner(root, requirements="tree\n")
    notes = []
    env = build(root, notes=notes)
    assert env.packages == {"leaf": "1.0", "tree": "2.0"}
    assert import_version(env, "tree") == "2.0"
    assert not env.locked
    assert "pin them with `bakeoff env lock echo`" in notes[1]


def test_an_unchanged_env_starts_no_process_and_opens_no_socket(root):
    add_runner(root)
    built = build(root).folder
    forbidden = ("subprocess.Popen", "os.fork", "os.posix_spawn", "socket.connect", "socket.getaddrinfo")
    hook = f"sys.addaudithook(lambda event, _: os._exit(9) if event in {forbidden} else None)"
    process = start(root, before=hook)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out.split()) == (0, [str(built)])


@pytest.mark.slow
def test_eight_processes_build_one_env(root):
    add_wheel(root / "wheels", "leaf", "1.0", files=200)
    add_runner(root, requirements="leaf\n")
    gate = time.time() + 2
    processes = [start(root, before=f"time.sleep(max(0, {gate} - time.time()))") for _ in range(8)]
    lines = [line for process in processes for line in process.communicate(timeout=120)[0].splitlines()]
    assert sum(line.startswith("echo: building") for line in lines) == 1
    assert len({line for line in lines if line.startswith(str(root))}) == 1
    assert [process.returncode for process in processes] == [0] * 8


@pytest.mark.slow
def test_a_build_killed_before_its_packages_came_is_never_used(root):
    add_wheel(root / "wheels", "leaf", "1.0")
    add_runner(root, requirements="leaf\n")
    process = start(root, notify="'no requirements.lock' in text and os.kill(os.getpid(), 9)")
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert len(list((root / "envs").glob("echo-*.tmp-*"))) == 1
    assert list_envs(open_workspace(root)) == []
    assert import_version(build(root), "leaf") == "1.0"
    assert list((root / "envs").glob("*.tmp-*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.0, 0.04, 0.08, 0.12, 0.16])
def test_a_build_killed_at_any_time_leaves_a_whole_env_or_none(root, delay_s):
    add_wheel(root / "wheels", "leaf", "1.0", files=500)
    add_runner(root, requirements="leaf\n")
    process = start(root)
    process.stdout.readline()
    time.sleep(delay_s)
    process.kill()
    process.communicate(timeout=60)
    assert all(info.folder.joinpath("lib").is_dir() for info in list_envs(open_workspace(root)))
    env = build(root)
    assert check_env(env) is None
    assert import_version(env, "leaf") == "1.0"


def test_leftovers_of_another_runners_build_go_when_its_lock_is_free(root):
    add_runner(root)
    leftover = root / "envs" / "other-0123456789ab.tmp-00ff"
    leftover.mkdir(parents=True)
    build(root)
    assert not leftover.exists()


def test_a_changed_requirement_gives_a_new_env_and_the_old_one_stays(root):
    for version in ("1.0", "2.0"):
        add_wheel(root / "wheels", "leaf", version)
    add_runner(root, requirements="leaf==1.0\n")
    old = build(root)
    add_runner(root, requirements="leaf==2.0\n")
    new = build(root)
    assert (import_version(old, "leaf"), import_version(new, "leaf")) == ("1.0", "2.0")
    assert {info.folder: info.is_current for info in list_envs(open_workspace(root))} == {
        old.folder: False,
        new.folder: True,
    }


def test_comments_and_line_ends_do_not_change_the_digest_but_an_included_file_does(root):
    folder = add_runner(root, requirements="-r more.txt\nleaf==1.0\n")
    (folder / "more.txt").write_text("tree\n")

    def digest():
        return lock_digest(get_runner(open_workspace(root), "echo"))

    first = digest()
    (folder / "requirements.txt").write_bytes(b"# why\r\n-r more.txt\r\n\r\nleaf==1.0  # because\r\n")
    assert digest() == first
    (folder / "more.txt").write_text("tree==2\n")
    assert digest() != first


def test_a_package_removed_from_an_env_is_noticed_and_the_env_built_again(root):
    add_wheel(root / "wheels", "leaf", "1.0")
    add_runner(root, requirements="leaf\n")
    env = build(root)
    shutil.rmtree(next(env.folder.glob("lib/*/site-packages/leaf")))
    notes = []
    assert import_version(build(root, notes=notes), "leaf") == "1.0"
    assert notes[0] == "echo: building its environment again: leaf is missing from its site-packages"


def test_a_shortened_file_in_an_env_is_found_by_the_thorough_check(root):
    add_wheel(root / "wheels", "leaf", "1.0")
    add_runner(root, requirements="leaf\n")
    env = build(root)
    assert check_env(env) is None
    module = next(env.folder.glob("lib/*/site-packages/leaf/m0.py"))
    module.unlink()
    module.write_text("x")
    assert check_env(env) == "leaf/m0.py of leaf-1.0 has 1 bytes instead of 6"


def test_an_interpreter_that_was_removed_is_noticed(root):
    python = copy_interpreter(root / "python")
    add_runner(root, manifest=f'python = "{python}"')
    env = build(root)
    assert env.python.resolve() == python.resolve()
    python.unlink()
    with pytest.raises(BakeoffError, match=r"^echo: runner\.toml asks for Python .*change the key 'python'"):
        build(root)
    copy_interpreter(root / "python")
    assert build(root).python.resolve() == python.resolve()


def copy_interpreter(folder):
    """Put a Python of its own into `folder`, on the standard library of ours."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    (folder / "lib").symlink_to(Path(os.__file__).parent.parent)
    return Path(shutil.copy2(Path(sys.executable).resolve(), folder / "bin" / f"python{OURS}"))


def test_bytecode_is_cached_by_the_first_import_whatever_the_environment_says(root, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    add_wheel(root / "wheels", "leaf", "1.0")
    add_runner(root, requirements="leaf\n")
    env = build(root)
    import_version(env, "leaf")
    assert list(env.folder.glob("lib/*/site-packages/leaf/__pycache__/__init__.*.pyc"))
    assert build(root) == env


def test_a_lock_has_hashes_and_pins_the_env(root, monkeypatch):
    add_wheel(root / "wheels", "leaf", "1.0")
    add_index(root, monkeypatch)
    folder = add_runner(root, requirements="leaf\n")
    workspace = open_workspace(root)
    lock = lock_runner(workspace, get_runner(workspace, "echo"))
    assert lock == folder / "requirements.lock"
    assert "bakeoff env lock echo" in lock.read_text()
    assert str(root) not in lock.read_text()
    assert "leaf==1.0 \\\n    --hash=sha256:" in lock.read_text()
    add_wheel(root / "wheels", "leaf", "3.0")
    env = build(root)
    assert (env.locked, env.packages) == (True, {"leaf": "1.0"})


@pytest.mark.slow
def test_a_file_that_is_not_the_locks_is_refused(root, monkeypatch):
    wheel = add_wheel(root / "wheels", "leaf", "1.0")
    folder = add_runner(root, requirements="leaf\n")
    (folder / "requirements.lock").write_text(f"leaf==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(BakeoffError, match=r"^echo: leaf==1\.0 is not the file that requirements\.lock names"):
        build(root)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "requirements.lock").write_text(f"leaf==1.0 \\\n    --hash=sha256:{digest}\n")
    assert build(root).locked


def test_a_local_build_takes_the_place_of_the_locked_one(root):
    """As `torch 2.13.0+cpu` does for the lock's `torch==2.13.0`, whose hash it can't have."""
    add_wheel(root / "wheels", "leaf", "1.0+cpu")
    folder = add_runner(root, requirements="leaf\n")
    (folder / "requirements.lock").write_text(f"leaf==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    env = build(root)
    assert (env.locked, env.packages) == (True, {"leaf": "1.0+cpu"})
    assert json.loads((env.folder / ".bakeoff-env.json").read_text())["unverified"] == ["leaf"]


def test_a_torch_backend_frees_torch_of_its_hash_and_drops_what_torch_pins_itself(tmp_path):
    lock = tmp_path / "requirements.lock"
    hashed = " \\\n    --hash=sha256:" + "0" * 64 + "\n"
    lock.write_text("".join(f"{pin}{hashed}" for pin in ("jinja2==3.1", "nvidia-nccl-cu13==2.29", "torch==2.13.0")))
    constraints = read_constraints(lock, [], "cu128")
    assert constraints.text == f"jinja2==3.1{hashed}torch==2.13.0\n"
    assert constraints.unverified == ("nvidia-nccl-cu13", "torch")
    assert constraints.find_unpinned({"torch": "2.13.0+cu128", "jinja2": "3.1", "six": "1.0"}) == ["six"]


def test_a_package_outside_the_lock_is_reported(root):
    add_wheel(root / "wheels", "leaf", "1.0")
    folder = add_runner(root, requirements="leaf\n")
    (folder / "requirements.lock").write_text("# nothing yet\n")
    notes = []
    assert not build(root, notes=notes).locked
    assert notes[-1] == "echo: requirements.lock does not pin leaf; run `bakeoff env lock echo`"


def test_a_runner_of_another_language_without_requirements_needs_no_env(root):
    folder = add_runner(root, manifest='command = ["node", "runner.mjs"]')
    env = build(root)
    assert (env.folder, env.python, env.packages) == (folder, Path(sys.executable), {})
    assert not (root / "envs").exists()
    with use_env(env):
        assert check_env(env) is None


def failure_of(root):
    with pytest.raises(BakeoffError) as caught:
        build(root)
    assert "\n" not in str(caught.value)
    assert str(root / "envs" / "logs" / "echo.log") in str(caught.value)
    assert list((root / "envs").glob("echo-*")) == []
    return caught.value


def test_no_network_is_one_sentence(root, monkeypatch):
    add_runner(root, requirements="leaf\n")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{unused.getsockname()[1]}/simple"
    for name in ("UV_NO_INDEX", "UV_OFFLINE", "UV_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    failure = failure_of(root)
    assert isinstance(failure, TryLaterError)
    assert str(failure).startswith("echo: the package index at 127.0.0.1:")


def test_a_package_that_is_not_cached_is_one_sentence_when_offline(root, monkeypatch):
    monkeypatch.delenv("UV_NO_INDEX")
    add_runner(root, requirements="leaf\n")
    failure = failure_of(root)
    assert isinstance(failure, TryLaterError)
    assert "the network is switched off (UV_OFFLINE)" in str(failure)


def test_an_unknown_package_is_one_sentence(root, monkeypatch):
    monkeypatch.delenv("UV_OFFLINE")
    add_runner(root, requirements="leef\n")
    assert str(failure_of(root)).startswith("echo: there is no package 'leef' in the index; correct its name")


def test_requirements_that_exclude_each_other_are_one_sentence(root):
    for version in ("1.0", "2.0"):
        add_wheel(root / "wheels", "leaf", version)
    add_wheel(root / "wheels", "tree", "1.0", requires=["leaf<2"])
    folder = add_runner(root, requirements="leaf==2.0\ntree\n")
    assert str(failure_of(root)).startswith("echo: requirements.txt cannot be satisfied: ")
    (folder / "requirements.txt").write_text("leaf==2.0\n")
    (folder / "requirements.lock").write_text("leaf==1.0\n")
    assert "requirements.txt and requirements.lock exclude each other" in str(failure_of(root))


def test_a_line_that_is_no_requirement_is_one_sentence(root):
    add_runner(root, requirements="leaf==\n")
    assert "requirements.txt cannot be read: " in str(failure_of(root))


def test_a_python_that_is_nowhere_is_one_sentence(root):
    add_runner(root, manifest='python = "3.99"')
    assert str(failure_of(root)).startswith("echo: runner.toml asks for Python 3.99, which uv finds neither here")


@pytest.mark.parametrize(
    ("output", "kind", "sentence"),
    [
        (
            "error: Failed to install: a.whl\n  cause: failed to copy: No space left on device (os error 28)",
            DiskError,
            "echo: the disk is full",
        ),
        (
            "error: Request failed after 3 retries\n  cause: Failed to download `https://host/cpython-3.tar.gz`",
            TryLaterError,
            "echo: Python 3.11 is not here and could not be downloaded",
        ),
        (
            "error: Something new\n  cause: unheard of",
            BakeoffError,
            "uv could not build its environment: Something new",
        ),
    ],
)
def test_what_uv_says_becomes_the_right_error(root, output, kind, sentence):
    add_runner(root, manifest='python = "3.11"')
    error = explain(output, get_runner(open_workspace(root), "echo"), root / "log")
    assert type(error) is kind
    assert sentence in str(error)


def test_gc_takes_old_envs_and_leaves_current_ones_and_those_in_use(root):
    for version in ("1.0", "2.0"):
        add_wheel(root / "wheels", "leaf", version)
    add_runner(root, requirements="leaf==1.0\n")
    old = build(root)
    add_runner(root, requirements="leaf==2.0\n")
    current = build(root)
    workspace = open_workspace(root)
    assert collect_garbage(workspace, older_than_days=1) == []
    with use_env(old):
        assert collect_garbage(workspace, older_than_days=0) == []
    assert [info.folder for info in collect_garbage(workspace, older_than_days=0)] == [old.folder]
    assert not old.folder.exists()
    assert current.folder.exists()
    with pytest.raises(TryLaterError, match="run the same command again"), use_env(old):
        pass
    assert [info.folder for info in collect_garbage(workspace, 0, include_current=True)] == [current.folder]


def test_an_env_in_use_by_another_process_is_left_until_that_process_dies(root):
    add_runner(root)
    env = build(root)
    hold = "from orchestrator.env import use_env; r = get_runner(workspace, 'echo')\n"
    hold += "with use_env(ensure_env(workspace, r, notify)): print('held', flush=True); time.sleep(60)"
    process = start(root, before=hold)
    assert process.stdout.readline() == "held\n"
    workspace = open_workspace(root)
    assert collect_garbage(workspace, 0, include_current=True) == []
    process.kill()
    process.communicate(timeout=60)
    assert [info.folder for info in collect_garbage(workspace, 0, include_current=True)] == [env.folder]


@pytest.mark.slow
def test_two_runners_whose_requirements_exclude_each_other_live_side_by_side(tmp_path):
    (tmp_path / "bakeoff.toml").touch()
    for name, version in (("old", "1.16.0"), ("new", "1.17.0")):
        add_runner(tmp_path, name, f"six=={version}\n")
        workspace = open_workspace(tmp_path)
        lock_runner(workspace, get_runner(workspace, name))
        env = build(tmp_path, name)
        assert (env.locked, env.packages) == (True, {"six": version})
        assert check_env(env) is None
