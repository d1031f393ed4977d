"""Servers that nobody here wrote, on loopback: `transformers serve`, and vLLM's."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress

from tests.servers import torchvision_on_cpu

READY_S, END_S = 420, 30


def prepare(env, wheels):
    """Mend torchvision in an environment whose torch came as a wheel of its own for CPUs, without torchvision's."""
    if wheels:
        for site in env.folder.glob("lib/*/site-packages"):
            torchvision_on_cpu.install(site)
    return env


@contextmanager
def serve_transformers(env, log):
    """Yield the address; the server loads whichever folder a request names as its model."""
    with _listening("/health", log) as (port, start):
        start([env.folder / "bin" / "transformers", "serve", "--device", "cpu", "--dtype", "float32"], port)
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def serve_vllm(env, checkpoint, log):
    """Yield the address; the model is called by its folder, as with the other server."""
    options = [*("--dtype", "float32"), *("--max-model-len", "2048"), *("--max-num-seqs", "8"), "--enforce-eager"]
    command = [env.python, "-m", "vllm.entrypoints.openai.api_server", "--model", checkpoint, *options]
    with _listening("/health", log) as (port, start):
        start(command, port, VLLM_CPU_KVCACHE_SPACE="1", VLLM_NO_USAGE_STATS="1")
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def _listening(path, log):
    """Yield a free port and a function that starts a server on it, waits until it answers, and ends it at the end."""
    started = []

    def start(command, port, **environment):
        arguments = [*map(str, command), "--host", "127.0.0.1", "--port", str(port)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", **environment}
        with log.open("wb") as file:
            server = subprocess.Popen(
                arguments, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        started.append(server)
        _wait(server, f"http://127.0.0.1:{port}{path}", log)

    try:
        yield _free_port(), start
    finally:
        for server in started:
            _end(server)


def _wait(server, address, log):
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text(errors="replace")[-3000:]
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"the server was not ready after {READY_S} s: {log.read_text(errors='replace')[-3000:]}")


def _end(server):
    server.send_signal(signal.SIGINT)
    try:
        with suppress(subprocess.TimeoutExpired):
            server.wait(END_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
