import asyncio
from contextlib import suppress


def load(params):
    return params


async def generate(params, request):
    prompt = request["prompt"]
    if prompt.startswith("hang"):
        await asyncio.sleep(60)
    while prompt.startswith("deaf"):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
    if prompt.startswith("late"):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(params["late_s"])
    if prompt.startswith("long"):
        await asyncio.sleep(params["long_s"])
    return {"text": prompt}
