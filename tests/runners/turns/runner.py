import json


def load(params):
    return None


def generate(_, request):
    return {"text": json.dumps({name: request.get(name) for name in ("prompt", "system", "images", "messages")})}
