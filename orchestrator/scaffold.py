"""Begin things for a person: a workspace, a runner."""

import shutil
from pathlib import Path

from orchestrator.config import BUILTIN, CONFIG_NAME, Workspace
from orchestrator.errors import UsageError
from orchestrator.files import disk_errors
from orchestrator.manifest import MANIFEST_NAME, Runner, is_runner_name, read_runner

_CONFIG = """\
# A workspace of bakeoff. Everything has a default; this file may stay as it is.

[settings]
# item_timeout_s = 120      # a request may take this long before its worker is killed
# load_timeout_s = 1800     # loading weights, downloads included
# torch_backend = "cpu"     # or "cu128", "auto": which build of torch goes into the envs
# devices = ["0", "1"]      # GPUs to use; default: all that are seen

# Your own models are a few lines each: a runner, and parameters of its load().
# [models.rapidocr-large]
# runner = "rapidocr"
# limit_side_len = 2000
"""
_GITIGNORE = "/envs/\n/results/\n/datasets/.cache/\n.env\n"

_MANIFEST = """\
description = "What this runner runs, in one line."
python = "3.11"
# env = ["HF_TOKEN"]         # variables the worker may see; everything else is withheld
# accelerator = "cuda"       # default: "none"
# cores = 4                  # what a worker keeps busy; default: all of them, so that it runs alone
# batch_max = 8              # with generate_batch(state, requests) in place of generate
# concurrency = 8            # with async def generate(state, request)

[defaults]                   # parameters of load(); a model overrides them
prefix = ""

[models.{name}]
"""
_RUNNER = '''\
"""Answer every prompt with the prompt itself: put your model here."""


def load(params):
    """Return whatever generate needs; called once. `params` are the manifest's, a model's and --param's."""
    return params["prefix"]


def generate(state, request):
    """Answer one request: a dict with id, prompt, system, images (a list of local paths) and params."""
    return {"text": state + request["prompt"]}
'''
_REQUIREMENTS = "# What this runner imports, one a line, as pip knows it. Then: bakeoff env lock {name}\n"


def init_workspace(folder: Path) -> Path:
    """Make `folder` a workspace with the built-in prompts, sets and the tiny dataset; return its path.

    Files that are there already stay as they are; raises UsageError where it is a workspace already.
    """
    if (folder / CONFIG_NAME).exists():
        raise UsageError(f"{folder}: is a workspace already")
    with disk_errors(folder):
        for name in ("runners", "prompts", "datasets", "experiments"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        _copy_missing(BUILTIN / "prompts", folder / "prompts")
        _copy_missing(BUILTIN / "experiments", folder / "experiments")
        _copy_missing(BUILTIN / "datasets" / "tiny-docs", folder / "datasets" / "tiny-docs")
        _write_missing(folder / ".gitignore", _GITIGNORE)
        _write_missing(folder / CONFIG_NAME, _CONFIG)
    return folder.resolve()


def new_runner(workspace: Workspace, name: str) -> Runner:
    """Write a runner folder that works as it is; raise UsageError where the name is taken or cannot be one."""
    folder = workspace.root / "runners" / name
    if not is_runner_name(name):
        raise UsageError(f"'{name}' cannot name a runner: use Latin letters, digits, '_' and '-'")
    if folder.exists() or name in workspace.discovery.runners:
        raise UsageError(f"there is a runner '{name}' already; choose another name")
    with disk_errors(folder):
        folder.mkdir(parents=True)
        (folder / MANIFEST_NAME).write_text(_MANIFEST.format(name=name), encoding="utf-8")
        (folder / "runner.py").write_text(_RUNNER, encoding="utf-8")
        (folder / "requirements.txt").write_text(_REQUIREMENTS.format(name=name), encoding="utf-8")
    return read_runner(folder)


def _copy_missing(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_file() and not copy.exists() and "__pycache__" not in path.parts:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _write_missing(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, encoding="utf-8")
