"""Any model that vLLM knows, on one or more GPUs."""

from vllm_engine import generate_batch, load

__all__ = ["generate_batch", "load"]
