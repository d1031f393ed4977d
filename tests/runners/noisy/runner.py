import ctypes
import logging
import os
import subprocess
import sys
import threading
import warnings

KINDS = 10


def make_noise(when):
    print("print", when)
    sys.stdout.write(f"sys.stdout {when}\n")
    os.write(1, f"descriptor1 {when}\n".encode())
    os.write(2, f"descriptor2 {when}\n".encode())
    c = ctypes.CDLL(None)
    c.puts(f"puts {when}".encode())
    c.fflush(None)
    subprocess.run(["echo", "child", when], check=True)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        print("fork", when, flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    logging.getLogger("noisy").warning("logging %s", when)
    warnings.warn(f"warnings {when}", stacklevel=1)
    print("sys.__stdout__", when, file=sys.__stdout__, flush=True)


make_noise("import")


def load(params):
    make_noise("load")


def generate(state, request):
    make_noise("generate")
    thread = threading.Thread(target=make_noise, args=("thread",))
    thread.start()
    thread.join()
    return {"text": request["prompt"]}
