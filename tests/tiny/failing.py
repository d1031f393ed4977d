"""Tell errors of a device apart without one: `python failing.py RUNNERS`, run by the Python of a runner's env.

Prints one JSON object: for each error, whether it is taken for a full device, and whether for a lost one.
"""

import json
import sys
from pathlib import Path

sys.path += [str(Path(sys.argv[1]) / name) for name in ("_vlm", "_shared")]

import torch
import vlm_device

usable = vlm_device._is_cuda_usable
device = vlm_device.describe_device()


def accelerator_error(code):
    error = torch.AcceleratorError(f"CUDA error {code}")
    error.error_code = code
    return error


def tell(error, is_usable=True):
    vlm_device._is_cuda_usable = lambda: is_usable
    try:
        return [device.is_full(error), device.is_lost(error)]
    finally:
        vlm_device._is_cuda_usable = usable


said = {
    "out of memory": tell(torch.OutOfMemoryError("CUDA out of memory.")),
    "no memory for a kernel": tell(accelerator_error(2)),
    "no memory for cuBLAS": tell(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")),
    "illegal access": tell(accelerator_error(700)),
    "a library's error, device gone": tell(RuntimeError("cuDNN error"), is_usable=False),
    "a library's error": tell(RuntimeError("cuDNN error")),
    "a mistake": tell(ValueError("x"), is_usable=False),
    "without CUDA": usable(),
}
torch.cuda.is_initialized = lambda: True
torch.cuda.synchronize = lambda: (_ for _ in ()).throw(RuntimeError("CUDA error"))
said["poisoned"] = usable()
print(json.dumps(said))
