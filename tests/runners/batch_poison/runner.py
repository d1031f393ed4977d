import os
import time
from pathlib import Path


def load(params):
    return params


def generate_batch(params, requests):
    prompts = [request["prompt"] for request in requests]
    if params.get("oracle"):
        with Path(params["oracle"]).open("a") as file:
            file.write("".join(prompt + "\n" for prompt in prompts))
    if "kill" in prompts:
        os.abort()
    while "hang" in prompts:
        time.sleep(60)
    if "raise" in prompts:
        raise ValueError("one of these is not readable")
    answers = [{"text": prompt} for prompt in prompts]
    if "short" in prompts:
        return answers[1:]
    if "apart" in prompts:
        answers[prompts.index("apart")] = TimeoutError("only this one is not readable")
    if "odd" in prompts:
        answers[prompts.index("odd")] = {"txet": "?"}
    return answers
