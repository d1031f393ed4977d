"""The parameters of the vLLM runners, and how they must be."""

from params import read_params, require, require_sampling

_ENGINE_TYPES = {
    "checkpoint": str,
    "revision": str,
    "trust_remote_code": bool,
    "dtype": str,
    "max_model_len": int,
    "max_num_seqs": int,
    "gpu_memory_utilization": float,
    "kv_cache_gb": float,
    "tensor_parallel_size": int,
    "limit_mm_per_prompt": dict,
    "enforce_eager": bool,
    "engine_args": dict,
}
_REQUEST_TYPES = {
    "max_new_tokens": int,
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "repetition_penalty": float,
    "seed": int,
    "stop": list,
    "mm_processor_kwargs": dict,
}
_DTYPES = ("auto", "float32", "bfloat16", "float16")


def read_vllm_params(params):
    """Return `params` checked, all of them. Raises BadParamsError."""
    values = read_params(params, {**_ENGINE_TYPES, **_REQUEST_TYPES})
    _check_engine(values)
    _check_sampling(values)
    return values


def _check_engine(values):
    require(values["checkpoint"].strip(), "checkpoint is empty: name a model of the Hugging Face hub or a local folder")
    require(values["dtype"] in _DTYPES, f"dtype = '{values['dtype']}': expected one of {', '.join(_DTYPES)}")
    for name, least in (("max_model_len", 0), ("max_num_seqs", 1), ("kv_cache_gb", 0), ("tensor_parallel_size", 1)):
        require(values[name] >= least, f"{name} = {values[name]}: expected at least {least}")
    share = values["gpu_memory_utilization"]
    require(0 < share <= 1, f"gpu_memory_utilization = {share}: expected more than 0 and at most 1")
    ours = sorted(values["engine_args"].keys() & {"model", *_ENGINE_TYPES})
    require(not ours, f"engine_args has '{', '.join(ours)}', a parameter of its own: set it there")


def _check_sampling(values):
    require_sampling(values)
    are_texts = all(isinstance(text, str) and text for text in values["stop"])
    require(are_texts, f"stop = {values['stop']}: expected texts, none of them empty")


def engine_options(values):
    """Return the arguments of vllm.LLM, but for the model."""
    options = {
        name: values[name]
        for name in (
            *("trust_remote_code", "dtype", "max_num_seqs", "gpu_memory_utilization"),
            *("tensor_parallel_size", "limit_mm_per_prompt", "enforce_eager"),
        )
    }
    if values["max_model_len"]:
        options["max_model_len"] = values["max_model_len"]
    if values["kv_cache_gb"]:
        options["kv_cache_memory_bytes"] = int(values["kv_cache_gb"] * (1 << 30))
    return {**options, **values["engine_args"]}


def sampling_options(values, repeat):
    """Return the arguments of vllm.SamplingParams; temperature 0 is greedy, and each repeat has the next seed."""
    options = {name: values[name] for name in ("temperature", "top_p", "top_k", "repetition_penalty")}
    options |= {"max_tokens": values["max_new_tokens"], "stop": values["stop"]}
    if values["seed"] >= 0:
        options["seed"] = (values["seed"] + repeat - 1) % (1 << 63)
    return options
