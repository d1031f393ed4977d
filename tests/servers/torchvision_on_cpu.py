"""Let a CUDA build of torchvision import beside a torch for CPUs: transforms work, its compiled operators are absent.

For tests only, where no torchvision for CPUs is to be had: `install` puts this file into an environment, and a
`.pth` file beside it that imports it when Python starts.
"""

import importlib
import io
import sys
from importlib.machinery import PathFinder
from pathlib import Path

NAME = "torchvision_on_cpu"


def install(site_packages):
    (site_packages / f"{NAME}.py").write_bytes(Path(__file__).read_bytes())
    (site_packages / f"{NAME}.pth").write_text(f"import {NAME}; {NAME}.watch()\n")


def watch():
    sys.meta_path.insert(0, _Finder())


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path) if name == "torchvision" else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: _import(module, execute)
        return spec


def _import(module, execute):
    torch = importlib.import_module("torch")
    if torch.version.cuda:
        execute(module)
        return
    module._operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        module._operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    execute(module)
    reading = importlib.import_module("torchvision.io")
    reading.decode_image = reading.image.decode_image = _decode_image


def _decode_image(data, mode="RGB", **_):
    import numpy as np  # noqa: PLC0415 - of the environment that this file is installed in
    import torch  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    raw = Path(data).read_bytes() if isinstance(data, str) else data.numpy().tobytes()
    return torch.from_numpy(np.array(Image.open(io.BytesIO(raw)).convert("RGB"))).permute(2, 0, 1).contiguous()
