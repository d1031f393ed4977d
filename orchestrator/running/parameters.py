"""Whether parameters fit the models that they are for, and what they name is there, as far as a manifest tells."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.config import Model, Workspace, list_models
from orchestrator.errors import UsageError, nearest
from orchestrator.manifest import MANIFEST_NAME
from orchestrator.variables import read_variables

_TELLS_NOTHING = ("", "auto")  # as a value it stands for another, of whatever kind
_MAX_SHOWN = 60


def is_known(name: str, model: Model) -> bool:
    """Tell whether a model has the parameter `name`; one that lists none may have any."""
    return not model.params or name in known_names(model)


def known_names(model: Model) -> tuple[str, ...]:
    """Return the parameters that the model's runner and its own table list."""
    manifest = model.runner.manifest
    return (*model.params, *manifest.required, *manifest.not_in_key)


def fitting_overrides(model: Model, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `overrides`, which are for several models, that this one has."""
    return {name: value for name, value in overrides.items() if is_known(name, model)}


def note_left_out(model: Model, names: Iterable[str]) -> str:
    """Return the sentence on parameters for all models that one of them does not have."""
    return f"{model.name} has no parameter {', '.join(names)}: left out for it"


def refuse_misfits(models: Sequence[Model], overrides: Mapping[str, Any]) -> None:
    """Raise UsageError for an override that none of `models` has, or whose value is of another kind than it has."""
    for name in overrides:
        if not any(is_known(name, model) for model in models):
            known = {known for model in models for known in known_names(model)}
            whose = f"model '{models[0].name}' has no" if len(models) == 1 else "no model of these has a"
            remedy = f"list it below [defaults] in its {MANIFEST_NAME} where its runner takes it all the same"
            raise UsageError(f"--param {name}: {whose} parameter '{name}'{nearest(name, known)} ({remedy})")
    for model in models:
        refuse_other_kinds(model, fitting_overrides(model, overrides), "--param ")


def refuse_misfits_over(workspace: Workspace, model: Model) -> None:
    """Raise UsageError as `refuse_misfits` for what is laid over the model of this name that the workspace knows."""
    known = list_models(workspace).get(model.name)
    if known is not None:
        laid_over = {k: v for k, v in model.params.items() if k not in known.params or known.params[k] != v}
        refuse_misfits([known], laid_over)


def refuse_other_kinds(model: Model, overrides: Mapping[str, Any], where: str = "") -> None:
    """Raise UsageError, which shows a name after `where`, for a value that is of another kind than the default.

    A whole number goes for any number. An empty text, "auto" and null go for everything, and as a default tell nothing.
    """
    for name, value in overrides.items():
        examples = _examples(model, name)
        kinds = {_kind(example) for example in examples}
        if examples and None not in kinds and _kind(value) not in {None, *kinds}:
            shown = json.dumps(value, ensure_ascii=False, default=str)[:_MAX_SHOWN]
            expected = " or ".join(sorted(filter(None, kinds)))
            remedy = "; in quotes it is a text" if "a text" in kinds and isinstance(value, int | float) else ""
            remedy += f": {where}'{name}=\"{shown}\"'" if remedy and where else ""
            raise UsageError(
                f"{where}{name} = {shown}: model '{model.name}' takes {expected} there, such as "
                f"{json.dumps(examples[0], ensure_ascii=False, default=str)[:_MAX_SHOWN]}{remedy}"
            )


def _examples(model: Model, name: str) -> list[Any]:
    """Return the values of a parameter that the manifest and the model's own table say."""
    manifest = model.runner.manifest
    tables = (model.params, manifest.defaults, *manifest.models.values())
    return [table[name] for table in tables if name in table]


def _kind(value: Any) -> str | None:
    """Return what kind of value it is; None where that cannot be told."""
    if value is None or value in _TELLS_NOTHING:
        return None
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, int | float):
        return "a number"
    return "a table" if isinstance(value, Mapping) else "a list" if isinstance(value, list | tuple) else None


def find_unset(workspace: Workspace, model: Model, params: Mapping[str, Any]) -> str | None:
    """Return a sentence where a parameter of `params` names a variable that its runner needs and nobody has set."""
    wanted = {name: params.get(name) for name in model.runner.manifest.required_env}
    named = {name: variable for name, variable in wanted.items() if isinstance(variable, str) and variable}
    are_set = read_variables(workspace.root, named.values())
    for name, variable in named.items():
        if not are_set.get(variable):
            return (
                f"the variable {variable} is not set: set it in the environment or in the workspace's .env file, or "
                f'say {name} = "" where none is needed'
            )
    return None
