import asyncio


def load(params):
    return {"now": 0, "most": 0}


async def generate(state, request):
    state["now"] += 1
    state["most"] = max(state["most"], state["now"])
    await asyncio.sleep(0.02)
    state["now"] -= 1
    if request["prompt"] == "raise":
        raise TimeoutError
    return {"text": request["prompt"], "info": {"most": state["most"]}}
