import signal
import time


def load(params):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def generate(state, request):
    while request["prompt"] == "hang":
        time.sleep(60)
    return {"text": request["prompt"]}
