import asyncio


class CutOffError(Exception):
    final = True

    def __init__(self, kind):
        super().__init__("the key is not taken any more")
        self.kind = kind


def load(params):
    return {"is_cut": False, **params}


async def generate(state, request):
    await asyncio.sleep(0.01)
    state["is_cut"] |= request["prompt"] == state["cut"]
    if state["is_cut"]:
        raise CutOffError(state["kind"])
    if request["prompt"].startswith("late"):
        await asyncio.sleep(0.5)
    if request["prompt"].startswith("bad"):
        raise ValueError("this one is bad")
    return {"text": request["prompt"]}
