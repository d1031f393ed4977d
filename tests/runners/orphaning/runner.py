import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FOREVER_S = 300
STUBBORN = (
    "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]; print(flush=True); time.sleep(300)"
)


def load(params):
    if params["when"] == "loading":
        be_busy(params)
    return params


def generate(params, request):
    be_busy(params)
    return {"text": request["prompt"]}


def be_busy(params):
    for word in params["how"].split():
        BEFORE.get(word, lambda: None)()
    Path(params["ready"]).touch()
    for word in params["how"].split():
        AFTER.get(word, lambda: None)()
    time.sleep(FOREVER_S)


def fork_helper():
    if os.fork() == 0:
        time.sleep(FOREVER_S)
        os._exit(0)


def daemonise():
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    os.setsid()
    if os.fork() == 0:
        time.sleep(FOREVER_S)
    os._exit(0)


def start_stubborn():
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    child.stdout.readline()  # it ignores signals from here on


def start_nameless():
    """Start a child that shows no environment and has a group of its own, as one that changes its title may."""
    subprocess.Popen(["sleep", str(FOREVER_S)], env={}, process_group=0)


def turn_deaf():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def breed():
    while True:
        daemonise()
        time.sleep(0.05)


BEFORE = {
    "helper": fork_helper,
    "daemon": daemonise,
    "stubborn": start_stubborn,
    "nameless": start_nameless,
    "deaf": turn_deaf,
}
AFTER = {
    "gil": lambda: ctypes.PyDLL(None).sleep(FOREVER_S),  # it keeps the interpreter lock
    "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "breeding": breed,
}
