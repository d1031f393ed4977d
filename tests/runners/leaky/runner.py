import base64
import ctypes
import json
import logging
import os
import sys
import time
from urllib.parse import quote, quote_plus

KEY = os.environ.get("CANARY_API_KEY", "")

print("import", KEY)


def say(text):
    os.write(2, text.encode())


def in_two_halves():
    half = len(KEY) // 2
    say(f"halves {KEY[:half]}")
    time.sleep(0.1)
    say(f"{KEY[half:]} end of halves\n")


def in_a_burst():
    for number in range(2000):
        say(f"burst {number} {'x' * (number % 90)} {KEY}\n")


def raising():
    raise ValueError(f"no such key: {KEY}")


def with_puts():
    libc = ctypes.CDLL(None)
    libc.puts(b"puts " + KEY.encode())
    libc.fflush(None)


def crashing():
    say(f"last words of {KEY}")
    os.abort()


WAYS = {
    "print": lambda: print("printed", KEY, flush=True),
    "write": in_two_halves,
    "burst": in_a_burst,
    "puts": with_puts,
    "logging": lambda: logging.getLogger("client").warning("header Authorization: Bearer %s", KEY),
    "environ": lambda: print("environ", dict(os.environ), file=sys.stderr, flush=True),
    "raise": raising,
    "crash": crashing,
}
FORMS = {
    "text": KEY,
    "base64": base64.b64encode(KEY.encode()).decode(),
    "basic": base64.b64encode(b"user:" + KEY.encode()).decode(),
    "bearer": base64.b64encode(b"me:" + KEY.encode() + b":tail").decode(),
    "urlsafe": base64.urlsafe_b64encode(b"1" + KEY.encode()).decode(),
    "quoted": "https://host/path?key=" + quote(KEY, safe=""),
    "form": "key=" + quote_plus(KEY) + "&lower=" + quote(KEY, safe="").lower(),
    "json": json.dumps({"key": KEY}),
    "twice": json.dumps(json.dumps({"key": KEY})),
    "repr": repr({"key": KEY}),
    "spilled": "long " * 1_000_000 + KEY + " end of long",
}


def load(params):
    say(f"load {KEY}\n")
    if params.get("fail"):
        raise RuntimeError(f"401 for {KEY}")


def generate(state, request):
    prompt = request["prompt"]
    if prompt in WAYS:
        WAYS[prompt]()
    text = FORMS.get(prompt, "innocent")
    info = {"header": {prompt: text}, KEY: [KEY]} if prompt != "spilled" else None
    return {"text": f"before {text} after", "info": info}
