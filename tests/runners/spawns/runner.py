import multiprocessing


def shout(text):
    print("in the pool", flush=True)
    return text.upper()


def load(params):
    return multiprocessing.get_context("spawn").Pool(1)


def generate(pool, request):
    return {"text": pool.apply(shout, (request["prompt"],))}
