def load(params):
    return None


def generate(state, request):
    text = request["prompt"] + "\ud83d|\u2028|\u0085|\x0b|\x00|\u202e|\n|\r\n|\x1b[31m"
    return {"text": text, "info": {"half": "\udc00"}}
