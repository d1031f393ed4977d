"""Which build of torch an environment got: the same version comes for the CPU and for several makes of GPU."""

import re
from pathlib import Path

_TOLD = r"^{}\b[^=\n]*=\s*'([^'\n]+)'"
_IS_TOLD = re.compile(r"^cuda\b[^=\n]*=", re.MULTILINE)
_BACKEND = re.compile(r"cpu|xpu|cu\d+|rocm[\d.]+")


def find_build(folder: Path) -> str | None:
    """Return `cpu`, `cu128`, `rocm6.3` or `xpu`, as torch's own version file says; None where there is no torch.

    Nothing is imported, which would take seconds.
    """
    for path in folder.glob("lib/*/site-packages/torch/version.py"):
        told = path.read_text(encoding="utf-8", errors="replace")
        if not _IS_TOLD.search(told):
            continue
        if cuda := _find(told, "cuda"):
            return f"cu{cuda.replace('.', '')}"
        if hip := _find(told, "hip"):
            return f"rocm{'.'.join(hip.split('.')[:2])}"
        return "xpu" if _find(told, "xpu") else "cpu"
    return None


def _find(told: str, name: str) -> str | None:
    found = re.search(_TOLD.format(name), told, re.MULTILINE)
    return found[1] if found else None


def find_mismatch(folder: Path, backend: str | None, driver: str | None = None) -> str | None:
    """Say that torch is not the build that was asked for; None where it is, or where any would do.

    `auto` asks for a GPU's where there is a `driver` of NVIDIA's.
    """
    build = find_build(folder)
    if build is None or backend is None or build == backend:
        return None
    if backend == "auto" and not (driver and build == "cpu"):
        return None
    if backend != "auto" and not _BACKEND.fullmatch(backend):
        return None
    return f"its torch is a build for {build}, and {backend} was asked for (torch_backend, UV_TORCH_BACKEND)"


def find_waste(folder: Path, driver: str | None) -> str | None:
    """Say that torch cannot use the GPU whose `driver` there is; None where it can, or there is none."""
    if driver is None or find_build(folder) != "cpu":
        return None
    remedy = 'set torch_backend = "auto" in bakeoff.toml, or look at find_links for wheels that end in +cpu'
    return f"this machine has a GPU, and torch came as a build for the CPU, on which models now run; {remedy}"
