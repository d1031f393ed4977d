import ctypes
import subprocess
import time
from pathlib import Path


def load(params):
    time.sleep(params.get("load_seconds", 0))
    if params.get("child"):
        subprocess.Popen(["sleep", "77"])
    return params


def generate(params, request):
    if params.get("oracle"):
        with Path(params["oracle"]).open("a") as file:
            file.write(request["prompt"] + "\n")
    if params.get("hold_lock"):
        ctypes.PyDLL(None).usleep(int(params["seconds"] * 1e6))
    elif params.get("only", "") in request["prompt"]:
        time.sleep(params["seconds"])
    return {"text": request["prompt"]}
