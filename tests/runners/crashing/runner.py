import os
import signal
import sys
from pathlib import Path

ENDS = {
    "abort": os.abort,
    "segv": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "exit0": lambda: os._exit(0),
    "sysexit": sys.exit,
}


def load(params):
    return params.get("oracle")


def generate(oracle, request):
    if oracle:
        with Path(oracle).open("a") as file:
            file.write(request["prompt"] + "\n")
    for word, end in ENDS.items():
        if word in request["prompt"]:
            end()
    return {"text": request["prompt"]}
