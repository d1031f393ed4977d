"""Answer every prompt with the prompt itself."""


def load(params):
    return params.get("prefix", "")


def generate(prefix, request):
    return {"text": prefix + request["prompt"]}
