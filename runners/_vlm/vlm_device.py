"""Choose device, dtype and attention for this machine, and tell the device's errors apart by their type."""

import torch
import transformers
from params import require
from transformers.utils import is_flash_attn_2_available
from vlm_memory import Device

FULL = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)  # its place before torch 2.5
_NO_WORKSPACE = "CUBLAS_STATUS_ALLOC_FAILED"  # cuBLAS finds no room for its own; it has no class and no code
_CUDA_OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation, which leaves the device usable


def choose_device(wanted):
    """Return "cuda:0" or "cpu" for "auto", else what was asked for; "split" spreads a model over all GPUs."""
    has_cuda = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda:0" if has_cuda else "cpu"
    kind, _, number = wanted.partition(":")
    is_known = wanted in {"cpu", "split"} or (kind == "cuda" and (not number or number.isdecimal()))
    require(is_known, f"device = '{wanted}': expected auto, cpu, cuda, cuda:N or split")
    require(has_cuda or wanted == "cpu", f"device = '{wanted}': torch {torch.__version__} sees no GPU on this machine")
    count = torch.cuda.device_count()
    require(int(number or 0) < max(count, 1), f"device = '{wanted}': this machine has {count} GPUs")
    return "cuda:0" if wanted == "cuda" else wanted


def choose_dtype(wanted, device):
    """Return the torch dtype: for "auto" float32 on a CPU, bfloat16 on a GPU that has it, float16 on an older one."""
    if wanted != "auto":
        return getattr(torch, wanted)
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def choose_attention(wanted, device, dtype):
    """Return what to ask transformers for; None leaves it to take sdpa, or eager where a model has no sdpa."""
    if wanted != "auto":
        return wanted
    is_flash_ready = device != "cpu" and dtype != torch.float32 and is_flash_attn_2_available()
    return "flash_attention_2" if is_flash_ready else None


def loading_options(device, dtype, attention):
    """Return the arguments of from_pretrained that say where and how the weights are kept."""
    version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    options = {"dtype" if version >= (4, 56) else "torch_dtype": dtype}
    if version >= (4, 56):  # 4.44 leaves such weights without a place in memory; later ones report them
        options["ignore_mismatched_sizes"] = True
    options["device_map"] = "auto" if device == "split" else {"": device}
    if attention is not None:
        options["attn_implementation"] = attention
    return options


def describe_device():
    """Return how this torch tells a full device and a lost one, and how it gives memory back."""
    lost_error = getattr(torch, "AcceleratorError", ())  # since torch 2.8

    def is_full(error):
        if isinstance(error, FULL) or getattr(error, "error_code", None) == _CUDA_OUT_OF_MEMORY:
            return True
        return isinstance(error, RuntimeError) and _NO_WORKSPACE in str(error)

    def is_lost(error):
        return isinstance(error, lost_error) or (isinstance(error, RuntimeError) and not _is_cuda_usable())

    return Device(is_full, is_lost, _free)


def _is_cuda_usable():
    """Try the device: libraries on top of CUDA raise plain RuntimeErrors, and a poisoned context fails every call."""
    if not torch.cuda.is_initialized():
        return True
    try:
        torch.cuda.synchronize()
        return torch.ones(1, device="cuda").item() == 1
    except RuntimeError:
        return False


def _free():
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
