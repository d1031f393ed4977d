from pathlib import Path


def load(params):
    return params.get("oracle")


def generate(oracle, request):
    if oracle:
        with Path(oracle).open("a") as file:
            file.write(request["prompt"] + "\n")
    return {"text": request["prompt"]}
