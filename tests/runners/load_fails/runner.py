import os
import time


class WeightsMissingError(Exception):
    kind = "bad_params"


def load(params):
    how = params.get("how", "raise")
    if how == "exit":
        os.write(2, b"libcuda.so.1: not found\n")
        os._exit(3)
    while how == "hang":
        time.sleep(60)
    raise WeightsMissingError("there are no weights at /nowhere")


def generate(state, request):
    raise AssertionError
