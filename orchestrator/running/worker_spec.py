"""Say how the worker of a model is started."""

import os
from collections.abc import Sequence
from pathlib import Path

from orchestrator.config import Model, Workspace
from orchestrator.env import Env
from orchestrator.files import disk_errors
from orchestrator.redaction import find_credentials, is_secret_name
from orchestrator.results.layout import log_path, spill_folder
from orchestrator.variables import read_variables
from orchestrator.worker_life import WorkerSpec

HELLO_TIMEOUT_S = 60.0  # a launcher may queue for long first
SHIM = Path(__file__).resolve().parent.parent / "worker.py"
PYTHON_FLAGS = ("-I", "-u", "-X", "utf8", "-X", "faulthandler")

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")

# What a worker may see of our environment, beside the names that its manifest asks for.
PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT"),
    *(
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "CUDA_VISIBLE_DEVICES",
        "CUDA_DEVICE_ORDER",
        "CUDA_HOME",
        "NVIDIA_VISIBLE_DEVICES",
    ),
    *("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TORCH_HOME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *(*_PROXIES, "NO_PROXY", "no_proxy"),
    *_THREADS,
)


def make_spec(
    workspace: Workspace,
    model: Model,
    env: Env,
    run: Path,
    *,
    number: int = 1,
    devices: Sequence[str] = (),
    threads: int | None = None,
) -> WorkerSpec:
    """Return the specification of worker `number` of `model`, that runs in `env` for `run`.

    It sees `devices` alone, where they are given, and none where the workspace says that there are none. It is told to
    compute with so many `threads`, unless the user's environment says that.
    """
    manifest, settings = model.runner.manifest, workspace.settings
    has_none = settings.devices == ()
    spill = spill_folder(run) / f"{model.name}-{number}"
    with disk_errors(spill):
        spill.mkdir(parents=True, exist_ok=True)
    named = _named_variables(model)
    asked = read_variables(workspace.root, (*manifest.env, *named))
    return WorkerSpec(
        runner=model.runner.name,
        argv=(*settings.launcher, *_command(model, env)),
        environment={**_lent(threads), **worker_environment(), **asked, **_visible(devices, has_none=has_none)},
        folder=workspace.root,  # what is written there is no runner's code
        log=log_path(run, model.name, number),
        spill=spill,
        model=model.name,
        params=model.params,
        batch_max=manifest.batch_max,
        concurrency=manifest.concurrency,
        hello_timeout_s=settings.load_timeout_s if settings.launcher else HELLO_TIMEOUT_S,
        load_timeout_s=manifest.load_timeout_s or settings.load_timeout_s,
        item_timeout_s=manifest.item_timeout_s or settings.item_timeout_s,
        device="cuda:0" if manifest.accelerator == "cuda" and not has_none else None,
        secrets=_find_secrets(asked, named),
    )


def _lent(threads: int | None) -> dict[str, str]:
    return {} if threads is None else dict.fromkeys(_THREADS, str(threads))


def _visible(devices: Sequence[str], *, has_none: bool) -> dict[str, str]:
    if not devices:
        return {"CUDA_VISIBLE_DEVICES": ""} if has_none else {}
    # nvidia-smi counts by the bus, CUDA the fastest first unless it is told otherwise.
    order = os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return {"CUDA_VISIBLE_DEVICES": ",".join(devices), "CUDA_DEVICE_ORDER": order}


def worker_environment() -> dict[str, str]:
    """Return the variables of our environment that every worker gets."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def _find_secrets(asked: dict[str, str], named: tuple[str, ...]) -> dict[str, str]:
    """Return what a worker must not let slip, by a name each; of a URL it is user and password."""
    secrets = {name: value for name, value in asked.items() if name in named or is_secret_name(name)}
    proxies = {name: os.environ.get(name, "") for name in _PROXIES}
    urls = {name: value if "://" in value else f"http://{value}" for name, value in proxies.items()}
    for name, value in (urls | asked).items():
        secrets |= find_credentials(name, value)
    return secrets


def _named_variables(model: Model) -> tuple[str, ...]:
    """Return the variables that the model's parameters name, as `api_key_env = "OPENAI_API_KEY"` does."""
    return tuple(v for k, v in model.params.items() if k.endswith("_env") and isinstance(v, str) and v)


def _found(folder: Path, word: str) -> str:
    return str(folder / word) if (folder / word).is_file() else word


def _command(model: Model, env: Env) -> tuple[str, ...]:
    """Return the command without launcher.

    In a manifest's own command `python` means the one of the environment, and files of the runner's folder are found.
    """
    runner = model.runner
    if runner.manifest.command:
        program, *arguments = (_found(runner.folder, word) for word in runner.manifest.command)
        return (str(env.python) if program == "python" else program, *arguments)
    helpers = (str(folder) for folder in runner.helper_folders)
    return (str(env.python), *PYTHON_FLAGS, str(SHIM), str(runner.folder), *helpers)
