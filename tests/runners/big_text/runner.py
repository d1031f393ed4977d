def load(params):
    return None


def generate(state, request):
    return {"text": "ж" * 2_500_000, "info": {"prompt": request["prompt"]}}
