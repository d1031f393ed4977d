"""Answer `answer PROMPT` over the wire, and misbehave as control.json in the folder `transcripts` says.

What is read and written is noted there first, one file a process, so that whoever judges knows what was really sent.
"""

import json
import os
import random
import select
import sys
import time
from pathlib import Path

from deeds import DEEDS
from lines import line


class Wire:
    """Both ends of the wire and the transcript of what crossed it."""

    def __init__(self):
        self.held, self.finished, self.spill = [], ["0"], None
        self.chance, self.control, self.transcript = random.Random(0), {}, None
        self._rest = b""

    def note(self, kind, *what):
        if self.transcript:
            self.transcript.write(json.dumps([kind, *what]) + "\n")
            self.transcript.flush()

    def say(self, data, *, piece=1 << 20):
        """Write and note `data`, as many bytes at a time as `piece` has it."""
        self.note("out", data.decode("latin-1"))
        self.shout(data, piece=piece)

    def shout(self, data, *, piece=1 << 20):
        """Write what is too much, or too little of an answer, to note it."""
        view = memoryview(data)
        while view:
            view = view[os.write(1, view[:piece]) :]

    def messages(self):
        """Read what the parent says; answers that were held back are given where it says nothing."""
        while True:
            *whole, self._rest = self._rest.split(b"\n")
            yield from map(json.loads, whole)
            while self.held and not select.select([0], [], [], 0.02)[0]:
                self.say(self.held.pop())
            chunk = os.read(0, 1 << 16)
            if not chunk:
                return
            self._rest += chunk

    def open(self, params):
        folder = Path(params["transcripts"])
        self.control = json.loads((folder / "control.json").read_text())
        launch = sum(1 for _ in folder.glob("*.jsonl"))
        self.chance = random.Random(f"{self.control['seed']}-{launch}")
        self.transcript = (folder / f"{launch:05}-{os.getpid()}.jsonl").open("w")


def stage(wire, message):
    """Say the line that answers hello or load, wrongly where the control says how."""
    wrong = wire.control.get("stage")
    if wrong:
        wire.note("fault", f"stage {wrong}")
        for text in {
            "answer first": [{"type": "response", "id": "0", "text": "early", "latency_s": 0}],
            "started first": [{"type": "started", "ids": ["0", "1"]}],
            "bye first": [{"type": "bye"}],
            "loaded twice": [message],
        }.get(wrong, []):
            wire.say(line(text))
        if wrong == "no JSON":
            wire.say(b"Loading checkpoint shards: 100%\n")
        if wrong == "mute":
            time.sleep(60)
    wire.say(line(message))


def choose(wire):
    """Draw the name of a deed by the weights of its kinds."""
    kinds = wire.control["kinds"]
    kind = wire.chance.choices(list(kinds), list(kinds.values()))[0]
    return wire.control.get("deed") or wire.chance.choice(list(DEEDS[kind]))


def main():
    wire = Wire()
    every = {name: deed for deeds in DEEDS.values() for name, deed in deeds.items()}
    for message in wire.messages():
        if message["type"] == "hello":
            wire.spill = Path(message["spill_folder"])
            wire.say(line({"type": "hello", "protocol": 1, "nonce": message["nonce"]}))
        elif message["type"] == "load":
            wire.open(message["params"])
            stage(wire, {"type": "loaded"})
        elif message["type"] == "request":
            wire.note("in", message["id"], message["prompt"])
            name = choose(wire)
            if name != "right":
                wire.note("fault", name)
            every[name](wire, message)
            wire.finished.append(message["id"])
        elif message["type"] == "shutdown":
            break
    sys.exit(0)


main()
