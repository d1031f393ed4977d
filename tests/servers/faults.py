"""What can go wrong with an answer of a chat server, by name: `NAME[:VALUE]`, e.g. `429-s:2`, `503`, `reset`.

STATUS            an error of that status: 400 401 402 403 404 408 409 413 422 429 500 502 503 529 …
STATUS-s:N        the same with Retry-After: N (seconds, 1) · -ms:N with retry-after-ms (250) · -date:N with the
                  HTTP date in N seconds (2) · -past a date gone by · -long:N seconds (600) · -bad no time at all
STATUS-noretry    the same with x-should-retry: false · -retry with true
quota             429 insufficient_quota · 400-image "image too large" · 400-context · 400-filter (Azure's)
                  400-key (Gemini's)
echo:STATUS       an error (400) whose text repeats the Authorization header · echo-text a text that does
error-200:CODE    200 with an error object (429)
html malformed nobody badutf8 nochoices        200 with no answer in it
length filter refusal empty null safety parts  200 with an answer that is not the plain one
moved             the answer names another model · big:N a text of N characters (5,000,000)
close reset       the connection ends, properly or by RST, before a byte of the answer
reset-half close-half silence                  the same after half of the body; silence waits for ever
hang              no byte, for ever · slow:S the answer after S seconds (1) · drip:S in 16 pieces, S apart (0.05)
short excess      Content-Length more (then closed) or less than the body
chunked           the plain answer in chunks · chunked-cut ends early · chunked-bad is no chunk
redirect          307 to another port, which answers everybody and remembers who came
"""

import asyncio
import json
import time
from email.utils import formatdate
from typing import Any

from tests.servers.http1 import Request, response

_MESSAGES = {
    "quota": (
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "400-image": (400, "invalid_image", "Invalid image: image too large, at most 20 MB are allowed."),
    "400-context": (400, "context_length_exceeded", "This model's maximum context length is 8192 tokens."),
    "400-key": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "400-filter": (400, "content_filter", "The response was filtered due to the prompt triggering the content policy."),
}
_CODES = {401: "invalid_api_key", 402: "insufficient_balance", 404: "model_not_found", 429: "rate_limit_exceeded"}


def error_body(message: str, code: object = None, kind: str = "error") -> bytes:
    """Return an error object as OpenAI writes it."""
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def chat_answer(text: str | None, model: str, usage: dict[str, int], **changes: Any) -> dict[str, Any]:
    """Return a chat completion; `finish_reason` changes the choice, anything else the message."""
    finish = changes.pop("finish_reason", "stop")
    message = {"role": "assistant", "content": text, **changes}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model}
    return {**head, "choices": [choice], "usage": usage}


async def misbehave(name: str, request: Request, answer: dict[str, Any], elsewhere: str) -> None:
    """Answer `request`, to which `answer` is the plain one, in the wrong way called `name`."""
    kind, _, value = name.partition(":")
    connection, body = request.connection, json.dumps(answer).encode()
    if kind in _BROKEN:
        await _BROKEN[kind](connection, body, value)
    elif kind == "redirect":
        connection.write(response(307, b"", {"location": elsewhere + request.path}))
    else:
        connection.write(wrong_response(kind, value, request.headers.get("authorization", ""), answer))


def wrong_response(kind: str, value: str, authorization: str, answer: dict[str, Any]) -> bytes:
    """Return the bytes of a fault that is a whole response; raise KeyError for an unknown one."""
    if kind in _MESSAGES:
        status, code, message = _MESSAGES[kind]
        return response(status, error_body(message, code, code))
    if kind[:3].isdigit():
        status, _, form = kind.partition("-")
        return _status(int(status), form, value)
    if kind == "echo":
        status = int(value or 400)
        message = f"Incorrect API key provided: {authorization}. You can find your API key in your account."
        return response(status, error_body(message, _CODES.get(status)))
    if kind == "error-200":
        return response(200, error_body("the upstream provider failed", int(value or 429)))
    if kind in _BODIES:
        data, content_type = _BODIES[kind]
        return response(200, data, kind=content_type)
    return response(200, json.dumps(_changed(kind, value, authorization, answer)).encode())


def _status(status: int, form: str, value: str) -> bytes:
    headers = RETRY[form](value) if form else {}
    return response(status, error_body(f"this is status {status}", _CODES.get(status)), headers)


RETRY = {
    "s": lambda value: {"retry-after": value or "1"},
    "ms": lambda value: {"retry-after-ms": value or "250"},
    "date": lambda value: {"retry-after": formatdate(time.time() + float(value or 2), usegmt=True)},
    "past": lambda _: {"retry-after": formatdate(time.time() - 3600, usegmt=True)},
    "long": lambda value: {"retry-after": value or "600"},
    "bad": lambda _: {"retry-after": "soon"},
    "noretry": lambda _: {"x-should-retry": "false"},
    "retry": lambda _: {"x-should-retry": "true"},
}
_BODIES = {
    "html": (b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html"),
    "malformed": (b'{"choices":[{"message":{"content":"half an ans', "application/json"),
    "nobody": (b"", "application/json"),
    "badutf8": (b'{"choices":[{"message":{"content":"\xff\xfe"}}]}', "application/json"),
    "nochoices": (b'{"choices":[],"model":"m"}', "application/json"),
}


def _changed(kind: str, value: str, authorization: str, answer: dict[str, Any]) -> dict[str, Any]:
    text, model, usage = answer["choices"][0]["message"]["content"], answer["model"], answer["usage"]
    changes: dict[str, dict[str, Any]] = {
        "length": {"finish_reason": "length"},
        "filter": {"finish_reason": "content_filter", "text": ""},
        "refusal": {"text": None, "refusal": "I can't help with that."},
        "empty": {"text": ""},
        "null": {"text": None},
        "safety": {"text": "", "finish_reason": "SAFETY"},
        "parts": {"text": [{"type": "text", "text": text}]},
        "moved": {"model": f"{model}-2099-01-01"},
        "big": {"text": "x" * int(value or 5_000_000)},
        "echo-text": {"text": f"you sent {authorization}"},
    }
    return chat_answer(**{"text": text, "model": model, "usage": usage, **changes[kind]})


async def _close(connection, body, value):
    connection.close()


async def _reset(connection, body, value):
    connection.reset()


async def _half(connection, body):
    connection.write(response(200, body[: len(body) // 2], length=len(body)))
    await asyncio.sleep(0.05)  # what is written leaves before the end does


async def _reset_half(connection, body, value):
    await _half(connection, body)
    connection.reset()


async def _close_half(connection, body, value):
    await _half(connection, body)
    connection.close()


async def _silence(connection, body, value):
    await _half(connection, body)
    await connection.closed


async def _hang(connection, body, value):
    await connection.closed


async def _slow(connection, body, value):
    await asyncio.sleep(float(value or 1))
    connection.write(response(200, body))


async def _drip(connection, body, value):
    data = response(200, body)
    step = len(data) // 16 + 1
    for start in range(0, len(data), step):
        connection.write(data[start : start + step])
        await asyncio.sleep(float(value or 0.05))


async def _short(connection, body, value):
    connection.write(response(200, body, length=len(body) + 10))
    connection.close()


async def _excess(connection, body, value):
    connection.write(response(200, body, length=len(body) - 10))
    connection.close()


def _chunks(body):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    middle = len(body) // 2
    return head, *(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:middle], body[middle:]))


async def _chunked(connection, body, value):
    connection.write(b"".join(_chunks(body)) + b"0\r\n\r\n")


async def _chunked_cut(connection, body, value):
    connection.write(b"".join(_chunks(body)[:2]))
    connection.close()


async def _chunked_bad(connection, body, value):
    connection.write(_chunks(body)[0] + b"this is no size\r\n")
    connection.close()


_BROKEN = {
    "close": _close,
    "reset": _reset,
    "reset-half": _reset_half,
    "close-half": _close_half,
    "silence": _silence,
    "hang": _hang,
    "slow": _slow,
    "drip": _drip,
    "short": _short,
    "excess": _excess,
    "chunked": _chunked,
    "chunked-cut": _chunked_cut,
    "chunked-bad": _chunked_bad,
}
