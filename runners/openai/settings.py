"""Read the parameters of the runner: where the endpoint is, what is sent to it, and how long it may take."""

import json
import math
import os
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from params import read_params, require
from transport import trust

PRICES = ("price_input", "price_output", "price_cached")
TYPES = {
    **dict.fromkeys(("base_url", "model", "api_key_env", "api_key_header", "azure_endpoint", "deployment"), str),
    **dict.fromkeys(("api_version", "max_tokens_field", "image_detail"), str),
    **dict.fromkeys(("headers", "extra_params", "timeouts"), dict),
    **dict.fromkeys(("max_new_tokens", "max_side", "concurrency_max", "attempts_max"), int),
    **dict.fromkeys(("rpm", "tpm", "backoff_s"), float),
}
OPTIONAL = {
    **dict.fromkeys(("temperature", "top_p", *PRICES), float),
    "seed": int,
}
TIMEOUTS = {"connect": 5.0, "write": 30.0, "read": 120.0, "total": 600.0, "item": 900.0}
AS_GIVEN = ("image_detail", "max_side", "max_new_tokens", "concurrency_max", "attempts_max", "backoff_s", "rpm", "tpm")
OURS = ("messages", "stream")  # of the body
AZURE_ADVICE = (
    "paste what stands before /openai, such as https://NAME.openai.azure.com; deployment and api_version have their own"
    " parameters (an address that ends in /openai/v1 goes into base_url, its deployment into model)"
)
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2


@dataclass(frozen=True)
class Settings:
    """What a model's parameters come to; `headers` hold the key, and `key` is that alone.

    `head` is the start of every request's body, to which the seed is added: each repeat has the next one.
    """

    url: str
    account: str
    key: str
    headers: dict
    head: bytes
    seed: int | None
    timeouts: dict
    image_detail: str
    max_side: int
    max_new_tokens: int
    concurrency_max: int
    attempts_max: int
    backoff_s: float
    rpm: float
    tpm: float
    prices: tuple
    trusted: object
    is_azure: bool

    def __repr__(self):
        """Keep the key out of what may be printed."""
        return f"Settings({self.url})"


def read_settings(params):
    """Return the Settings of `params`; raises BadParamsError, for a missing key too."""
    types = {name: str if params.get(name) == "" else wanted for name, wanted in OPTIONAL.items()}
    values = read_params(params, {**TYPES, **types})
    given = {name: None if name in OPTIONAL and value == "" else value for name, value in values.items()}
    given |= {name: given[name].strip() for name in ("base_url", "azure_endpoint", "model")}
    _check(given)
    url = find_url(given)
    key = _read_key(given["api_key_env"])
    return Settings(
        url=url,
        account=given["azure_endpoint"] or given["base_url"],
        key=key,
        headers=_headers(given, key),
        head=_head(given),
        seed=None if "seed" in given["extra_params"] else given["seed"],
        timeouts=_timeouts(given["timeouts"]),
        trusted=trust() if url.startswith("https:") else True,  # aiohttp's own, for a proxy
        prices=tuple(given[name] for name in PRICES),
        is_azure=bool(given["azure_endpoint"]),
        **{name: given[name] for name in AS_GIVEN},
    )


def find_url(given):
    """Return the address that is asked."""
    if given["azure_endpoint"]:
        for name in ("deployment", "api_version"):
            require(given[name], f"{name} = '': Azure OpenAI needs it beside azure_endpoint")
        parts = _check_url("azure_endpoint", given["azure_endpoint"])
        is_bare = "/openai" not in parts.path and not parts.query
        require(is_bare, f"azure_endpoint = '{given['azure_endpoint']}': {AZURE_ADVICE}")
        path = f"/openai/deployments/{quote(given['deployment'], safe='')}/chat/completions"
        return f"{given['azure_endpoint'].rstrip('/')}{path}?api-version={quote(given['api_version'], safe='')}"
    require(given["model"], "model = '': say which one to ask, by the endpoint's name of it (--param model=NAME)")
    parts = _check_url("base_url", given["base_url"])
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return parts._replace(path=f"{path}/chat/completions", fragment="").geturl()


def _check_url(name, url):
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and url.isprintable()
    except ValueError:  # no bracket after an IPv6 address, or no such port
        is_address = False
    is_address = is_address and " " not in url
    require(is_address, f"{name} = '{url}': expected an address such as https://api.openai.com/v1")
    require("@" not in parts.netloc, f"{name}: an address with a password would land in every result; use api_key_env")
    return parts


def _check(given):
    for name in ("max_new_tokens", "concurrency_max", "attempts_max"):
        require(given[name] >= 1, f"{name} = {given[name]}: expected at least 1")
    for name in ("max_side", "rpm", "tpm", "backoff_s"):
        require(0 <= given[name] < math.inf, f"{name} = {given[name]}: expected 0 or more")
    for name in PRICES:
        require(given[name] is None or given[name] >= 0, f"{name} = {given[name]}: expected 0 or more")
    both = (given["price_input"] is None) == (given["price_output"] is None)
    require(both, "price_input and price_output: say both, or neither; with one alone no cost can be told")
    details = ("", "low", "high", "auto")
    require(given["image_detail"] in details, f"image_detail = '{given['image_detail']}': expected low, high or auto")
    for name in OURS:
        require(name not in given["extra_params"], f"extra_params: '{name}' is the runner's own")


def _read_key(variable):
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    advice = "set it in the environment or in the workspace's .env file"
    require(key, f'the API key is missing: {advice}, as {variable}; for a server without keys say api_key_env = ""')
    require(key.isascii() and key.isprintable(), f"the API key in {variable} has characters that no key has: {advice}")
    return key


def _headers(given, key):
    own = {"content-type": "application/json", "user-agent": "bakeoff"}
    for name, value in given["headers"].items():
        is_plain = isinstance(value, str) and f"{name}{value}".isprintable()
        require(is_plain and TOKEN.fullmatch(name), f"headers: '{name}' must be a text in one line under a plain name")
        is_secret = name.lower() in ("authorization", "api-key", "x-api-key", "proxy-authorization", "cookie")
        require(not is_secret, f"headers: '{name}' would land in every result; use api_key_env (and api_key_header)")
        own[name.lower()] = value
    if key:
        is_name = TOKEN.fullmatch(given["api_key_header"] or "x") and given["api_key_header"].lower() not in own
        require(is_name, f"api_key_header = '{given['api_key_header']}': expected a header's name, such as api-key")
        name = given["api_key_header"] or ("api-key" if given["azure_endpoint"] else "authorization")
        own[name.lower()] = f"Bearer {key}" if name.lower() == "authorization" else key
    return own


def _head(given):
    """Return the start of every request's body, up to its seed and messages."""
    body = {"model": given["model"]} if given["model"] else {}
    body[given["max_tokens_field"]] = given["max_new_tokens"]
    sampling = {name: given[name] for name in ("temperature", "top_p") if given[name] is not None}
    return json.dumps({**body, **sampling, **given["extra_params"]})[:-1].encode() + b", "


def _timeouts(given):
    for name, value in given.items():
        known = ", ".join(TIMEOUTS)
        require(name in TIMEOUTS, f"timeouts: there is no '{name}' (known: {known})")
        is_time = type(value) in (int, float) and 0 < value < math.inf
        require(is_time, f"timeouts: {name} = {value!r}: expected a number of seconds")
    return {**TIMEOUTS, **given}
