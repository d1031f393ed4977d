import asyncio


class CancelledByUsError(Exception):
    kind = "transient"


class State:
    def __init__(self, params):
        self.seconds = params.get("seconds", 0.3)
        self.free = 2
        self.queue = []
        self.is_ending = False

    async def enter(self):
        while not self.free and not self.is_ending:
            self.queue.append(asyncio.get_running_loop().create_future())
            await self.queue[-1]
        if self.is_ending:
            raise CancelledByUsError("cancelled")
        self.free -= 1

    def wake(self):
        queue, self.queue = self.queue, []
        for future in queue:
            future.set_result(None)


def load(params):
    return State(params)


def wind_down(state):
    state.is_ending = True
    state.wake()


async def generate(state, request):
    await state.enter()
    await asyncio.sleep(state.seconds)
    state.free += 1
    state.wake()
    if request["prompt"] == "raise":
        raise ValueError("no such thing")
    return {
        "text": request["prompt"],
        "input_tokens": 100,
        "output_tokens": 7,
        "info": {"cost": 0.001, "served_model": "m-1"},
    }
