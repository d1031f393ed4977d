"""Answer with what a chat-completions endpoint answers: OpenAI's own, or any that speaks like it.

Images go as their own bytes, before the prompt. `info` says which model served, what it cost, how many attempts it
took, how long the last one was (`request_s`; the latency has the waiting for the account's limits in it, too) and
what was sent of each image.
"""

import asyncio
import json
import sys

from client import open_client
from prices import find_cached, find_cost, find_count
from settings import read_settings

if sys.platform != "win32":
    import uvloop


class State:
    """The clients by their parameters; nearly always there is one."""

    def __init__(self, params):
        """Open the client of the model's own parameters."""
        self.params = params
        self._first = open_client(read_settings(params))
        self._others = {}

    def client_of(self, params):
        """Return the client that asks with `params`."""
        if params == self.params:
            return self._first
        name = json.dumps(params, sort_keys=True)
        if name not in self._others:
            self._others[name] = open_client(read_settings(params))
        return self._others[name]

    def wind_down(self):
        """Let no client send anything more."""
        for client in (self._first, *self._others.values()):
            client.wind_down()


def load(params):
    """Check the parameters and the key; the endpoint is not asked."""
    if sys.platform != "win32":
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return State(params)


def wind_down(state):
    """Send nothing more; what is at the endpoint is still waited for."""
    state.wind_down()


async def generate(state, request):
    client = state.client_of(request["params"])
    reply, tries, images = await client.ask(request)
    usage = reply.usage
    info = {**tries.info(), **reply.note, **_counted(usage)}
    cost = find_cost(usage, *client.settings.prices)
    more = {"served_model": reply.served_model, "cost": cost, "images": images or None}
    return {
        "text": reply.text,
        "stop_reason": reply.stop_reason,
        "input_tokens": find_count(usage.get("prompt_tokens")),
        "output_tokens": find_count(usage.get("completion_tokens")),
        "info": {**info, **{name: value for name, value in more.items() if value is not None}},
    }


def _counted(usage):
    """Return the tokens that the endpoint counts apart: those it had cached, those it thought with."""
    details = usage.get("completion_tokens_details")
    thought = find_count(details.get("reasoning_tokens")) if isinstance(details, dict) else None
    known = {"cached_tokens": find_cached(usage), "reasoning_tokens": thought}
    return {name: value for name, value in known.items() if value}
