"""Break as each question says, `name[;word[=value]]…`; a question without words is answered with `answer name`."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

LINES = '{"type":"response","id":"1","text":"an answer of nobody"}\nnoise without an end'


def load(params):
    if params.get("load"):
        FAULTS[params["load"]](None)
    return params


def generate_batch(params, requests):
    samples = [parse(request["prompt"]) for request in requests]
    counts = note_executions(params, samples)
    return [answer(name, words, counts.get(name, 0), len(samples)) for name, words in samples]


def parse(question):
    name, *words = question.strip().split(";")
    pairs = [word.partition("=") for word in words]
    return name, {word: value for word, _, value in pairs}


def note_executions(params, samples):
    """Append a line for each sample to the oracle, all at once, and return how often each was executed by now."""
    if not params.get("oracle"):
        return {}
    oracle, label = Path(params["oracle"]), params["label"]
    rest = f"{label} {os.getpid()} {len(samples)} {time.time_ns()}\n"
    data = "".join(f"{name} {rest}" for name, _ in samples).encode()
    descriptor = os.open(oracle, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, data)
    os.close(descriptor)
    if not any("times" in words for _, words in samples):
        return {}
    lines = [line.split()[:2] for line in oracle.read_text().splitlines()]
    return {name: lines.count([name, label]) for name, _ in samples}


def answer(name, words, count, batch_size):
    text = f"answer {name}"
    if "times" in words and count > int(words["times"]):
        return {"text": text}
    for word, value in words.items():
        if word in FAULTS and (word != "batchonly" or batch_size > 1):
            FAULTS[word](value)
        elif word == "big":
            text += "x" * int(value)
        elif word == "surrogate":
            text += "\ud83d"
        elif word not in {"times", *FAULTS}:
            raise ValueError(f"the chaos runner knows no word {word!r}")
    return {"text": text}


def segv(_):
    ctypes.string_at(0)


def abort(_):
    os.abort()


def exit0(_):
    os._exit(0)


def sysexit(_):
    sys.exit(3)


def kill(_):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(_):
    while True:
        time.sleep(60)


def gil(_):
    """Sleep in C without giving the interpreter lock back, so that no other thread of ours runs."""
    ctypes.PyDLL(None).sleep(3600)


def fail(_):
    raise ValueError("the script says so")


def offline(_):
    raise ConnectionError("the script says so")


def oom(_):
    raise MemoryError("the script says so")


def noise(_):
    """Write to stdout and stderr from Python, from C and straight to the descriptors; some of it looks like ours."""
    print(LINES, flush=True)
    print(LINES, file=sys.stderr, flush=True)
    libc = ctypes.CDLL(None)
    libc.puts(b"noise of C " + LINES.encode())
    libc.fflush(None)
    for descriptor in (1, 2):
        os.write(descriptor, b"\xff\x00 noise of a descriptor\n")


def flood(value):
    sys.stderr.write("x" * int(value) + "\n")
    sys.stderr.flush()


def fork(_):
    if os.fork() == 0:
        linger()


def daemon(_):
    if os.fork() == 0:
        os.setsid()
        linger()


def linger():
    time.sleep(60)
    os._exit(0)


def sleep(value):
    time.sleep(float(value))


FAULTS = {
    "segv": segv,
    "batchonly": segv,
    "abort": abort,
    "exit0": exit0,
    "sysexit": sysexit,
    "kill": kill,
    "hang": hang,
    "gil": gil,
    "raise": fail,
    "offline": offline,
    "oom": oom,
    "noise": noise,
    "stderr": flood,
    "fork": fork,
    "daemon": daemon,
    "sleep": sleep,
}
