"""The parameters that every Hugging Face vision-language runner knows, and how they must be."""

from params import read_params, require, require_sampling

MODEL_TYPES = {
    "checkpoint": str,
    "revision": str,
    "trust_remote_code": bool,
    "dtype": str,
    "attention": str,
    "device": str,
}
GENERATION_TYPES = {
    "max_new_tokens": int,
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "repetition_penalty": float,
    "seed": int,
}
DTYPES = ("auto", "float32", "bfloat16", "float16")
ATTENTIONS = ("auto", "flash_attention_2", "sdpa", "eager")


def read_vlm_params(params, family_types):
    """Return `params` checked: the names here and those of `family_types`, all of them. Raises BadParamsError."""
    values = read_params(params, {**MODEL_TYPES, **GENERATION_TYPES, **family_types})
    for name, known in (("dtype", DTYPES), ("attention", ATTENTIONS)):
        require(values[name] in known, f"{name} = '{values[name]}': expected one of {', '.join(known)}")
    require(values["checkpoint"].strip(), "checkpoint is empty: name a model of the Hugging Face hub or a local folder")
    require_sampling(values)
    return values


def generation_options(values):
    """Return the arguments of transformers' `generate` for one set of parameters, but for those of sampling."""
    options = {"max_new_tokens": values["max_new_tokens"]}
    if values["repetition_penalty"] != 1:
        options["repetition_penalty"] = values["repetition_penalty"]
    return options


def group_alike(items, params_of):
    """Return lists of indices into `items` whose parameters are equal, each in order: what may share a batch."""
    groups = {}
    for index, item in enumerate(items):
        groups.setdefault(tuple(sorted(params_of(item).items())), []).append(index)
    return list(groups.values())
