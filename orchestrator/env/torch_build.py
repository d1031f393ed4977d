"""Which build of torch an environment got: the same version comes for the CPU and for several CUDAs."""

import re
from pathlib import Path

_CUDA = re.compile(r"^cuda\b[^=\n]*=\s*(?:None|'(?P<version>[\d.]+)')", re.MULTILINE)
_BACKEND = re.compile(r"cu(?P<digits>\d+)")


def find_build(folder: Path) -> str | None:
    """Return `cpu` or `cu128` and the like, as torch's own version file says; None where there is no torch.

    Nothing is imported, which would take seconds.
    """
    for path in folder.glob("lib/*/site-packages/torch/version.py"):
        if found := _CUDA.search(path.read_text(encoding="utf-8", errors="replace")):
            return f"cu{found['version'].replace('.', '')}" if found["version"] else "cpu"
    return None


def find_mismatch(folder: Path, backend: str | None) -> str | None:
    """Say that torch is not the build that was asked for; None where it is, or where any would do."""
    build = find_build(folder)
    if build is None or backend is None or not (backend == "cpu" or _BACKEND.fullmatch(backend)) or build == backend:
        return None
    return f"its torch is a build for {build}, and {backend} was asked for (torch_backend, UV_TORCH_BACKEND)"
