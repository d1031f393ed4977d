"""Tell what went wrong with a request, and what is to be done about it. The standard library alone is needed."""

import base64
import json
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import quote

LONGEST_WAIT_S = 120.0
MALFORMED_RETRIES = 2
ADDRESS = "base_url, which mostly ends in /v1, and the model's name"
AZURE_ADDRESS = "azure_endpoint, deployment and api_version"
MESSAGE_CHARS = 300
EXCERPT_CHARS = 200
KEY_CHARS = 6

_jitter = random.SystemRandom().uniform
_ANY_CASE = re.IGNORECASE
_SPENT = re.compile(
    r"insufficient.?(quota|balance|credit|funds)|billing.(hard.limit|not.active)|credit balance", _ANY_CASE
)
_DAILY = re.compile(r"per.?day", _ANY_CASE)
_CONTEXT = re.compile(
    r"context.?length|maximum context|context window|prompt is too long|too many (input )?tokens", re.IGNORECASE
)
_FILTER = re.compile(
    r"content_?filter|content_policy|content management policy|moderation|safety system", re.IGNORECASE
)
_TOO_LARGE = re.compile(r"request too large", _ANY_CASE)
_BAD_KEY = re.compile(
    r"api.?key.{0,20}(not valid|not found|invalid|expired)|(invalid|expired|bad).{0,5}api.?key", _ANY_CASE
)
_TEXT_ONLY = re.compile(r"not support|unknown variant|image input|multimodal", _ANY_CASE)
_PARAMETER = re.compile(
    r"(unknown|unrecognized|unexpected) (field|parameter|argument|name)|image_(url\W{0,3})?detail", _ANY_CASE
)
_BAD_IMAGE = re.compile(
    r"image.*(too (large|small|big)|exceed|could not|cannot|unsupported|invalid|process|decode|parse)"
    r"|(unsupported|invalid|could not \w+|failed to \w+|cannot \w+|empty).{0,30}image"
    r"|image_(parse|too|size|format|decode|content|file)",
    _ANY_CASE | re.DOTALL,
)
_OF_REQUEST = re.compile(r"image|picture|media", _ANY_CASE)  # a 404 that says nothing of the model
_STATUS_OF_CODE = (
    ("insufficient_quota|insufficient_balance", 402),
    ("rate_?limit|resource_?exhausted|too_many", 429),
    ("overloaded|unavailable", 529),
    ("timeout|deadline", 408),
    ("authentication|invalid_api_key|unauthenticated", 401),
    ("permission", 403),
    ("not_found", 404),
    ("invalid|context_length|content_filter", 400),
)


class ApiError(Exception):
    """Why a request has no answer: one sentence, and the kind of failure; `final`: no other one would have any."""

    def __init__(self, kind, sentence, *, final=False):
        """Name one of the kinds that the worker knows."""
        super().__init__(sentence)
        self.kind, self.final = kind, final


@dataclass(frozen=True)
class Fault:
    """What happened to one attempt.

    `act`: `retry`, `limited` (429: the account waits), `overloaded` (retry, with fewer at a time), `malformed` (retry
    twice), `fail` (this request), `stop` (every other request would fail alike, until a person mends it).
    """

    act: str
    kind: str
    sentence: str
    retry_after_s: float | None = None
    is_maybe_billed: bool = False


def classify(status, headers, data, now=None):
    """Return the Fault of an answer that is an error by its `status`.

    `headers` map lower-case names (case does not matter where the mapping says so), `now` is for tests: Unix seconds.
    """
    error = read_error(data)
    message, code = describe(error, data)
    sentence = f"status {status}{f' ({code})' if code else ''}: {message}" if message else f"status {status}"
    told = f"{code} {message}"
    fault = _by_status(status, sentence, told)
    if fault.act == "limited":
        if isinstance(error, dict) and _DAILY.search(json.dumps(error.get("details"))):  # Gemini says to retry soon
            return Fault("stop", "rate_limited", f"{sentence} (a day's quota is spent; run again tomorrow)")
        return Fault("limited", fault.kind, sentence, read_retry_after(headers, error, now))
    should_retry = headers.get("x-should-retry")
    if should_retry == "true" and fault.act == "fail" and fault.kind != "refused":
        return Fault("retry", "transient", sentence)
    if should_retry == "false" and fault.act in ("retry", "overloaded"):
        return Fault("fail", fault.kind, sentence)
    if fault.act in ("retry", "overloaded"):
        return Fault(fault.act, fault.kind, sentence, read_retry_after(headers, error, now))
    return fault


def _by_status(status, sentence, told):
    if status == 429 and _TOO_LARGE.search(told):  # than a minute's tokens: no waiting helps
        return Fault("fail", "bad_input", sentence)
    if status == 402 or (status in (400, 403, 429) and _SPENT.search(told)):
        return Fault("stop", "bad_params", f"{sentence} (add credit or raise the limit, then run again)")
    if status in (400, 403) and _FILTER.search(told):
        return Fault("fail", "refused", sentence)
    if status in (401, 403, 407) or (status == 400 and _BAD_KEY.search(told)):  # Gemini says 400
        return Fault("stop", "bad_params", f"{sentence} (check the key, and what it may be used for)")
    if status == 429:
        return Fault("limited", "rate_limited", sentence)
    if status == 529:
        return Fault("overloaded", "transient", sentence)
    if status in (408, 409, 425) or status >= 500:
        return Fault("retry", "transient", sentence)
    if 300 <= status < 400:
        return Fault("stop", "bad_params", f"status {status}: it redirects, which is not followed; correct base_url")
    if status == 405 or (status == 404 and not _OF_REQUEST.search(told)):
        return Fault("stop", "bad_params", f"{sentence} (check {ADDRESS})")
    return Fault("fail", _kind_of_refusal(status, told), sentence)


def _kind_of_refusal(status, told):
    if status == 413 or _CONTEXT.search(told):
        return "bad_input"
    is_image = _BAD_IMAGE.search(told) and not _TEXT_ONLY.search(told) and not _PARAMETER.search(told)
    return "bad_input" if is_image else "bad_params"


def classify_object(error, headers, now=None):
    """Return the Fault of an error object that came with status 200."""
    return classify(find_status(error), headers, json.dumps({"error": error}).encode(), now)


def find_status(error):
    """Return the status that an error object stands for; 500 where it does not say."""
    if not isinstance(error, dict):
        return 500
    for name in ("code", "status", "type"):
        value = error.get(name)
        if str(value).isdecimal() and 400 <= int(value) < 600:
            return int(value)
        for pattern, status in _STATUS_OF_CODE:
            if isinstance(value, str) and re.search(pattern, value, _ANY_CASE):
                return status
    return 500


def malformed(what, data):
    """Return the Fault of a body that holds no answer."""
    shown = excerpt(data, EXCERPT_CHARS)
    found = f"; it begins: {shown}" if shown else ""
    return Fault("malformed", "transient", f"bad_response: {what}{found}", is_maybe_billed=True)


def read_error(data):
    """Return the error object in a body: under `error`, at its top, or in a list (Gemini); None where there is none."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return None
    said = said[0] if isinstance(said, list) and said else said
    if not isinstance(said, dict):
        return None
    return said.get("error") or (said if "message" in said or "detail" in said else None)


def describe(error, data):
    """Return the message and the code of an error object, or the start of a body that has none."""
    if isinstance(error, str):
        return _plain(error)[:MESSAGE_CHARS], ""
    if not isinstance(error, dict):
        return excerpt(data, EXCERPT_CHARS), ""
    message = error.get("message") or error.get("detail") or ""
    message = message if isinstance(message, str) else json.dumps(message)
    code = next((error[name] for name in ("code", "status", "type") if isinstance(error.get(name), str)), "")
    return _plain(message)[:MESSAGE_CHARS], _plain(code)[:50]


def name_azure(sentence):
    """Return `sentence` with the names of Azure's parameters for those of all others."""
    return sentence.replace(ADDRESS, AZURE_ADDRESS).replace("base_url", "azure_endpoint")


def excerpt(data, length):
    """Return the start of a body in one line."""
    return _plain(data[: 4 * length].decode("utf-8", "replace"))[:length]


def _plain(text):
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def hide(data, key):
    """Return the bytes `data` without `key`, as it is or encoded; a key of a few letters is none."""
    forms = (key, quote(key, safe=""), base64.b64encode(key.encode()).decode().rstrip("="), key.replace("/", "\\/"))
    for form in forms if len(key) >= KEY_CHARS else ():
        data = data.replace(form.encode(), b"[key]")
    return data


def read_retry_after(headers, error=None, now=None):
    """Return the seconds to wait: `retry-after-ms`, Retry-After in seconds or as a date, or Gemini's `retryDelay`.

    A date is compared with the server's own clock where it tells it, and never puts us off for more than two minutes.
    None where nothing usable is said.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _as_number(headers.get(name))
        if seconds is not None:
            return seconds * scale
    wanted = _as_time(headers.get("retry-after"))
    if wanted is not None:
        wait = wanted - (_as_time(headers.get("date")) or now or time.time())
        return min(wait, LONGEST_WAIT_S) if wait > 0 else None
    return _read_delay(error)


def _read_delay(error):
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return _as_number(delay[:-1])
    return None


def _as_number(text):
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None


def _as_time(text):
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def find_wait(fault, attempts, malformed_count, backoff_s, attempts_max):
    """Return how many seconds to wait before the next attempt, None where there shall be none.

    `attempts` are those made, this one included but not those that the endpoint answered with a time to wait.
    Full jitter (Brooker, "Exponential Backoff And Jitter", 2015), and 0 to 10 % on top of a time that was told.
    """
    if fault.act in ("fail", "stop") or (fault.act == "malformed" and malformed_count > MALFORMED_RETRIES):
        return None
    told = fault.retry_after_s
    if told is not None and told > LONGEST_WAIT_S:
        return None
    if told is not None and fault.act == "limited":
        return told * _jitter(1.0, 1.1)
    if attempts >= attempts_max:
        return None
    if told is not None:
        return told * _jitter(1.0, 1.1)
    first, most = (2, 120) if fault.act == "limited" else (1, 16)
    return _jitter(0, backoff_s * min(first * 2 ** (attempts - 1), most))
