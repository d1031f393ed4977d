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
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise BadParamsError(f"there is no parameter '{name}' (known: {', '.join(types)}){hint}")
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
