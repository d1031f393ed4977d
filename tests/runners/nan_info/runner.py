from pathlib import Path


class Scalar:
    def item(self):
        return 7


VALUES = {
    "nan": {"score": float("nan"), "least": float("-inf")},
    "foreign": {"scalar": Scalar(), "path": Path("a"), "set": {1}, "tuple": (1, 2)},
    "list": [1, 2],
    "circular": {},
}
VALUES["circular"]["self"] = VALUES["circular"]


def load(params):
    return None


def generate(state, request):
    if request["prompt"] in VALUES:
        return {"text": "", "info": VALUES[request["prompt"]]}
    if request["prompt"] == "params":
        seen = dict(request["params"])
        request["params"]["changed"] = True
        return {"text": "", "info": seen}
    return {"text": "", "input_tokens": int(request["prompt"])}
