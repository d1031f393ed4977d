import os
import sys

from texts import TEXTS


def load(params):
    if "fails_with" in params:
        raise ValueError(TEXTS[params["fails_with"]])
    if "dies_with" in params:
        sys.stderr.buffer.write(_raw(TEXTS[params["dies_with"]]) + b"\n")
        sys.stderr.flush()
        os._exit(3)


def generate(_, request):
    what, _, name = request["prompt"].partition(" ")
    text = TEXTS[name]
    sys.stderr.buffer.write(_raw(text) + b"\n")
    if what == "fail":
        raise ValueError(text)
    return {"text": text, "info": {"text": text}}


def _raw(text):
    return text.encode("utf-8", "surrogatepass")
