def load(params):
    return None


def generate_batch(state, requests):
    return [{"text": request["prompt"].upper()} for request in requests]
