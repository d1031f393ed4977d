import json
from pathlib import Path


def load(params):
    if params.get("spoils"):
        Path(params["spoils"]).write_bytes(b"no image any more")


def generate(_, request):
    return {"text": json.dumps({name: request.get(name) for name in ("prompt", "system", "images", "messages")})}
