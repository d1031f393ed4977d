def load(params):
    return None


def generate(_, request):
    return {"text": str(request["repeat"])}
