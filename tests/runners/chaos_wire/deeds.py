"""What the worker can do with a request: answer it, or any of the ways not to."""

import functools
import hashlib
import os
import sys
import time

from lines import HARMLESS, OPEN, REFUSED, line

TEN_MB = 10 << 20


def started(*ids):
    return line({"type": "started", "ids": list(ids)})


def answer(request, **more):
    return {"type": "response", "id": request["id"], "text": f"answer {request['prompt']}", "latency_s": 0.01, **more}


def right(wire, request):
    wire.say(started(request["id"]))
    wire.say(line(answer(request)))


def wrong_line(mutate, wire, request):
    wire.say(started(request["id"]))
    wire.say(mutate(wire.chance, answer(request)))


def before_started(wire, request):
    wire.say(line(answer(request)) + started(request["id"]))


def not_started(wire, request):
    wire.say(line(answer(request)))


def byte_by_byte(wire, request):
    wire.say(started(request["id"]) + line(answer(request)), piece=1)


def reorder(wire, request):
    wire.say(started(request["id"]))
    wire.held.append(line(answer(request)))


def too_early(wire, request):
    right(wire, request)
    following = str(int(request["id"]) + 1) if request["id"].isdigit() else "1"
    wire.say(line({**answer(request), "id": following, "text": "too early"}))


def answer_finished(wire, request):
    right(wire, request)
    wire.say(line({**answer(request), "id": wire.chance.choice(wire.finished), "text": "much later"}))


def fail(wire, request):
    kind = wire.chance.choice(["bug", "oom", "transient", "bad_params"])
    wire.say(
        line({"type": "error", "id": request["id"], "kind": kind, "message": "no\u2028\0\x1b[2J", "traceback": "x"})
    )


def spill(wire, request):
    data = f"answer {request['prompt']} ".encode() * 500
    digest = hashlib.sha256(data).hexdigest()
    (wire.spill / f"{request['id']}-{digest}.txt").write_bytes(data)
    wire.note("spilled", request["id"], data.decode())
    wire.say(started(request["id"]) + line(answer(request, text="", text_sha256=digest)))


def spill_wrongly(wire, request):
    """Refer to a text that is missing, another one, cut, a folder, or a pipe on which nobody writes."""
    data = b"not what the digest says"
    digest = hashlib.sha256(f"answer {request['prompt']}".encode()).hexdigest()
    path = wire.spill / f"{request['id']}-{digest}.txt"
    how = wire.chance.choice(wire.control.get("spills", ["none", "other", "folder", "pipe", "outside"]))
    if how == "other":
        path.write_bytes(data)
    elif how == "folder":
        path.mkdir(exist_ok=True)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "outside":
        (wire.spill.parent / "x.txt").write_bytes(data)
        path.symlink_to("../x.txt")
    wire.note("spill", how)
    wire.say(started(request["id"]) + line(answer(request, text="", text_sha256=digest)))


def drop(wire, request):
    wire.say(started(request["id"]))


def ignore(wire, request):
    pass


def half(wire, request):
    whole = line(answer(request))
    wire.say(started(request["id"]) + whole[: wire.chance.randrange(1, len(whole))])


def half_then_silence(wire, request):
    half(wire, request)
    time.sleep(60)


def half_then_exit(wire, request):
    half(wire, request)
    os._exit(0)


def exit_zero(wire, request):
    wire.say(started(request["id"]))
    os._exit(0)


def close_stdout(wire, request):
    wire.say(started(request["id"]))
    os.close(1)
    time.sleep(60)


def chatter(message, wire, request, *, begins=True):
    """Hang, and say something again and again: words are no progress."""
    wire.say(started(request["id"]) if begins else b"")
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        wire.shout(line({**message, "ids": [request["id"]]}))
        time.sleep(0.05)


def stretch_clock(wire, request):
    """Claim to begin a thousand requests that nobody asked for, and hang."""
    wire.say(started(request["id"], *(f"nobody-{number}" for number in range(1000))))
    time.sleep(60)


def repeat_in_started(wire, request):
    """Claim to begin one request a thousand times over, and hang."""
    wire.say(started(*[request["id"]] * 1000))
    time.sleep(60)


def flood(message, wire, request):
    wire.say(started(request["id"]))
    data = line(message)
    wire.shout(data * (wire.control.get("flood_bytes", TEN_MB) // len(data)))
    wire.say(line(answer(request)))


def burst(wire, request):
    os.write(2, b"warning: " * 1000 + b"\n")
    sys.stderr.buffer.write(b"no newline \x1b[31m \xff\0" * (TEN_MB // 20))
    sys.stderr.buffer.flush()
    right(wire, request)


def endless_line(wire, request):
    """Write a line without end: 64 MiB, or what the control says."""
    piece = b'{"type":"response","x":"' + b"x" * (1 << 20)
    for _ in range(wire.control.get("long_line_mb", 64)):
        wire.shout(piece)


def _lines(mutations):
    return {name: functools.partial(wrong_line, mutate) for name, mutate in mutations.items()}


DEEDS = {
    "right": {"right": right},
    "harmless": {
        **_lines(HARMLESS),
        "before started": before_started,
        "not started": not_started,
        "byte by byte": byte_by_byte,
        "reordered": reorder,
        "error": fail,
        "spilled": spill,
    },
    "harmful": {
        **_lines(REFUSED),
        **_lines(OPEN),
        "finished id": answer_finished,
        "too early": too_early,
        "spilled wrongly": spill_wrongly,
        "half then exit": half_then_exit,
        "exit 0": exit_zero,
    },
    "slow": {
        "dropped": drop,
        "ignored": ignore,
        "half then silence": half_then_silence,
        "stdout closed": close_stdout,
        "pongs": functools.partial(chatter, {"type": "pong", "seq": 1}),
        "pongs, nothing begun": functools.partial(chatter, {"type": "pong", "seq": 1}, begins=False),
        "progress for ever": functools.partial(chatter, {"type": "progress"}),
        "started for ever": functools.partial(chatter, {"type": "started"}),
        "started for many": stretch_clock,
        "started over and over": repeat_in_started,
    },
    "heavy": {
        "pong flood": functools.partial(flood, {"type": "pong", "seq": 1}),
        "log flood": functools.partial(flood, {"type": "log", "message": "x" * 50_000}),
        "stderr burst": burst,
        "endless line": endless_line,
        "large": functools.partial(
            wrong_line, lambda _, message: line({**message, "text": message["text"] + "ж" * (1 << 19)})
        ),
    },
}
