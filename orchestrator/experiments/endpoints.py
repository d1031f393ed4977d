"""Where a model of a set is asked, and with whose key: a key goes to no other address than the one it is for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.config import Model, Workspace, get_model, get_runner, list_models, refuse_secrets
from orchestrator.errors import UsageError
from orchestrator.experiments.expand import Experiment
from orchestrator.names import RULE, find_bad_name, is_plain_name

ENDPOINTS = "openai"  # the runner that asks an address
_ADDRESSES = ("azure_endpoint", "base_url")  # the first that is set is asked
_KEY = "api_key_env"
_PRICES = ("price_input", "price_output", "price_cached")
_OF_ACCOUNT = (*_PRICES, "azure_endpoint", "deployment", "api_version", "api_key_header", "headers", "rpm", "tpm")


def find_model(workspace: Workspace, one: Experiment) -> Model:
    """Return the model of `one`: the workspace's, or else one that is asked at its endpoint; raise UsageError."""
    if one.endpoint:
        refuse_secrets({"base_url": one.endpoint.base_url}, "its endpoint")
    if one.endpoint is None or one.model in list_models(workspace):
        return get_model(workspace, one.model)
    if not is_plain_name(plain := one.model.replace("/", "-")):
        raise UsageError(f"'{one.model}' cannot name a model: {RULE}; give an aliased_name")
    runner = get_runner(workspace, ENDPOINTS)
    own = {"base_url": one.endpoint.base_url, "model": one.endpoint.model, _KEY: one.endpoint.api_key_env}
    return Model(plain, runner, {**runner.manifest.defaults, **own})


def lay_endpoint(model: Model, one: Experiment) -> dict[str, Any]:
    """Return what the endpoint of `one` lays over the parameters of `model`; nothing where it has weights of its own.

    At another address nothing of the model's account is left: no key, no price, no header. At its own address a key
    that the endpoint names goes first.
    """
    params, endpoint = model.params, one.endpoint
    if endpoint is None or model.runner.name != ENDPOINTS:
        return {}
    key, address = endpoint.api_key_env, endpoint.base_url
    if _plain(_address(params)) != _plain(address):
        return {**_default(model, _OF_ACCOUNT), "base_url": address, "model": endpoint.model, _KEY: key}
    laid = {_KEY: key} if key not in ("", params.get(_KEY)) else {}
    if endpoint.model in (one.model, params.get("model")):
        return laid
    return {**_default(model, _PRICES), "model": endpoint.model, **laid}


def refuse_shared_names(ones: Sequence[Experiment], models: Sequence[Model], path: Path) -> None:
    """Raise UsageError where two of `ones` name models alike that are not asked alike, and so would become one."""
    first: dict[str, tuple[Experiment, dict[str, Any]]] = {}
    for one, model in zip(ones, models, strict=True):
        asked = {**model.params, **lay_endpoint(model, one)}
        other, before = first.setdefault(model.name, (one, asked))
        if asked != before:
            raise UsageError(
                f"{path}: {one.where}: {_tell(one)} would have the name '{model.name}', as {_tell(other)} of "
                f"{other.where} has; give one of them an aliased_name of its own"
            )
    if problem := find_bad_name([model.name for model in models]):
        raise UsageError(f"{path}: {problem}; give one of them an aliased_name")


def _tell(one: Experiment) -> str:
    if one.endpoint is None:
        return f"model '{one.model}' of the workspace"
    key = f" with the key in {one.endpoint.api_key_env}" if one.endpoint.api_key_env else ""
    return f"'{one.endpoint.model}' at {one.endpoint.base_url}{key}"


def refuse_stray_key(model: Model, overrides: Mapping[str, Any]) -> None:
    """Raise UsageError where `overrides` move the address of `model` to another host, and leave it its key."""
    variable = model.params.get(_KEY)
    if not variable or _KEY in overrides:
        return
    before, after = (_address(params) for params in (model.params, {**model.params, **overrides}))
    if _origin(before) != _origin(after):
        name = next(name for name in _ADDRESSES if name in overrides)
        raise UsageError(
            f"{name} = '{after}': the key in {variable} is for {before}, and would be sent there; "
            f'say {_KEY} too, the variable of the key that is wanted there, or "" for none'
        )


def _default(model: Model, names: Sequence[str]) -> dict[str, Any]:
    """Return the runner's own values of those of `names` that `model` has others of."""
    defaults = model.runner.manifest.defaults
    return {name: defaults[name] for name in names if name in defaults and model.params.get(name) != defaults[name]}


def _address(params: Mapping[str, Any]) -> str:
    return next((str(params[name]) for name in _ADDRESSES if params.get(name)), "")


def _plain(address: str) -> str:
    return address.strip().rstrip("/").removesuffix("/chat/completions")


def _origin(address: str) -> tuple[str, str]:
    try:
        parts = urlsplit(address.strip())
    except ValueError:  # no address at all, which is told where it is asked
        return address, ""
    return parts.scheme, parts.netloc.lower()
