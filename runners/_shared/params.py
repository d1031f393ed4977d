"""Check a runner's parameters against the names and types that it knows."""

import difflib


class BadParamsError(ValueError):
    """A parameter that the runner cannot use."""

    kind = "bad_params"


def read_params(params, types):
    """Return `params` as a dict of exactly the names in `types`, a mapping of name to type.

    A whole number will do for a float, and nothing but true or false for a bool. Raises BadParamsError.
    """
    for name in params:
        if name not in types:
            close = difflib.get_close_matches(name, types, n=1)
            hint = f"did you mean '{close[0]}'? It knows " if close else "it knows "
            raise BadParamsError(f"there is no parameter '{name}'; {hint}{', '.join(types)}")
    return {name: _read(name, params, wanted) for name, wanted in types.items()}


def _read(name, params, wanted):
    if name not in params:
        raise BadParamsError(f"the parameter '{name}' is missing")
    value = params[name]
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise BadParamsError(f"{name} = {value!r}: expected {wanted.__name__}, got {type(value).__name__}")
    return value


def require(holds, message):
    """Raise BadParamsError with `message` unless `holds`."""
    if not holds:
        raise BadParamsError(message)


def require_sampling(values):
    """Require that the parameters of generating, which all models that write text share, can be."""
    require(values["max_new_tokens"] >= 1, f"max_new_tokens = {values['max_new_tokens']}: expected at least 1")
    require(values["temperature"] >= 0, f"temperature = {values['temperature']}: expected 0 (greedy) or more")
    require(0 < values["top_p"] <= 1, f"top_p = {values['top_p']}: expected more than 0 and at most 1")
    require(values["top_k"] >= 0, f"top_k = {values['top_k']}: expected a number of tokens, or 0 for all")
    penalty = values["repetition_penalty"]
    require(penalty > 0, f"repetition_penalty = {penalty}: expected more than 0; 1 changes nothing")
    require(-1 <= values["seed"] < 1 << 63, f"seed = {values['seed']}: expected 0 or more, or -1 to draw one")
