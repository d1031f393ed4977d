"""Any model that vLLM knows, on a CPU."""

from vllm_engine import generate_batch, load

__all__ = ["generate_batch", "load"]
