"""Ways to get one answer on the wire wrong: each takes a source of chance and a right message, and gives bytes."""

import json

DEEP = 100_000


def line(message):
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _with(**changes):
    """Return a mutation that sets keys of the message to Python values."""
    return lambda chance, message: line({**message, **changes})


def _raw(key, *literals):
    """Return a mutation that writes one of `literals`, which need not be JSON, as the value of `key`."""

    def mutate(chance, message):
        return line({**message, key: "@@"}).replace(b'"@@"', chance.choice(literals).encode())

    return mutate


def _and(*others):
    """Return a mutation that says the right line, and one of `others` before or after it."""

    def mutate(chance, message):
        more = line(chance.choice(others))
        return more + line(message) if chance.random() < 0.5 else line(message) + more

    return mutate


def truncate(chance, message):
    whole = line(message)
    return whole[: chance.randrange(len(whole) - 1)] + b"\n"


def lose_newline(chance, message):
    return line(message)[:-1] + line({"type": "pong", "seq": 1})


def flip_byte(chance, message):
    whole = bytearray(line(message))
    whole[chance.randrange(len(whole))] = chance.randrange(256)
    return bytes(whole)


def swap_bytes(chance, message):
    whole = bytearray(line(message))
    one, two = (chance.randrange(len(whole)) for _ in range(2))
    whole[one], whole[two] = whole[two], whole[one]
    return bytes(whole)


def cut_out(chance, message):
    whole = line(message)
    start = chance.randrange(len(whole))
    return whole[:start] + whole[start + chance.randint(1, 9) :]


def insert_bytes(chance, message):
    whole = line(message)
    start = chance.randrange(len(whole))
    return whole[:start] + chance.randbytes(chance.randint(1, 9)) + whole[start:]


def noise(chance, message):
    return chance.randbytes(chance.randint(1, 300)) + b"\n"


def miss_key(chance, message):
    left = dict(message)
    del left[chance.choice(["type", "id", "text", "latency_s"])]
    return line(left)


def wrong_type(chance, message):
    key = chance.choice(["type", "id", "text", "info", "stop_reason", "input_tokens", "batch_size"])
    value = chance.choice([True, 7.5, [], ["x"], {"a": 1} if key != "info" else "x", 10**30])
    return line({**message, key: value})


def bad_utf8(chance, message):
    return line(message).replace(b'"text":"', b'"text":"' + chance.choice([b"\xff", b"\xc0\xaf", b"\xe2\x82"]))


def pretty(chance, message):
    return json.dumps(message, indent=1).encode() + b"\n"


def deep(chance, message):
    opening, closing = chance.choice([("[", "]"), ('{"a":', "}")])
    value = opening * DEEP + "0" + closing * chance.choice([0, DEEP])
    return line({**message, "info": "@@"}).replace(b'"@@"', value.encode())


def long_number(chance, message):
    return line({**message, "input_tokens": "@@"}).replace(b'"@@"', b"9" * chance.choice([400, 5000, 1_000_000]))


def other_keys(chance, message):
    more = {f"x-{chance.randrange(99)}": chance.choice([None, [1], "NaN", {"id": "1"}]) for _ in range(3)}
    keys = list({**message, **more}.items())
    chance.shuffle(keys)
    return line(dict(keys))


def raw_text(chance, message):
    """Put characters that some take for line ends into the text as they are."""
    text = message["text"] + chance.choice(["\u2028", "\u2029", "\x85", "\x7f", "\U0001f600", "\ufeff"]) + "|"
    return json.dumps({**message, "text": text}, ensure_ascii=False).encode() + b"\n"


def escapes(chance, message):
    return line(message).replace(b'"text":"', b'"text":"' + chance.choice([b"\\ud83d", b"\\udc00x", b"\\u0000\\n"]))


def blanks(chance, message):
    left, right = (chance.choice([b"", b" ", b"\t", b"\r", b"  \r"]) for _ in range(2))
    return left + line(message)[:-1] + right + b"\n"


def twice(chance, message):
    return line(message) * 2


def twice_different(chance, message):
    return line(message) + line({**message, "text": "second " + message["text"]})


def unknown_id(chance, message):
    other = chance.choice(["", "0", "-1", "../../x", "/etc/passwd", "id\0", "9" * 70, "x" * 5000, "\u2028", "None"])
    return line({**message, "id": other}) + line(message)


# The answer still arrives, once, and the worker goes on.
HARMLESS = {
    "other keys": other_keys,
    "raw text": raw_text,
    "escapes": escapes,
    "blanks": blanks,
    "twice": twice,
    "unknown id": unknown_id,
    "long text": lambda chance, message: line({**message, "text": message["text"] * chance.randint(2, 9000)}),
    "log": _and({"type": "log", "message": "x" * 2000}, {"type": "log", "level": "\u2028", "message": "\0\x1b[2J"}),
    "pong": _and({"type": "pong", "seq": 7}, {"type": "pong", "seq": -(10**30)}),
    "progress": _and({"type": "progress", "phase": "x", "done": 1e300}),
    "hello again": _and({"type": "hello", "protocol": 9, "nonce": "x"}),
    "loaded again": _and({"type": "loaded", "batch_max": 10**400}, {"type": "loaded"}),
    "bye": _and({"type": "bye"}),
    "unknown started": _and({"type": "started", "ids": ["../x", "", "nobody"]}, {"type": "started", "ids": []}),
    "load error": _and({"type": "error", "id": None, "kind": "bug", "message": "late"}),
    "same key twice": lambda chance, message: line(message)[:-2] + b',"batch_size":2}\n',
}

# The line is no message: the worker is ended.
REFUSED = {
    "missing key": miss_key,
    "wrong type": wrong_type,
    "bad UTF-8": bad_utf8,
    "pretty printed": pretty,
    "deep": deep,
    "no newline": lose_newline,
    "long number": long_number,
    "NaN": _raw("latency_s", "NaN", "Infinity", "-Infinity", "1e999", "-1", "nan"),
    "NaN inside": _raw("info", '{"a":[NaN]}', '{"a":{"b":-Infinity}}'),
    "tokens": _raw("output_tokens", "-1", "1.5", '"3"', "true", str(2**63), "1e3"),
    "batch size": _raw("batch_size", "0", "-4", "null", str(2**31), '"4"'),
    "stop reason": _with(stop_reason="tired"),
    "digest": _raw("text_sha256", '"../../etc/passwd"', '"abc"', "7"),
    "type": _with(type="x-response"),
    "empty line": lambda chance, message: chance.choice([b"", b" ", b"\r"]) + b"\n" + line(message),
    "no object": lambda chance, message: chance.choice([b"null", b"[]", b'"x"', b"0", b"{}", b"{}{}", b"]"]) + b"\n",
    "NUL": lambda chance, message: b"\0" + line(message),
    "two in a line": lambda chance, message: line(message)[:-1] * 2 + b"\n",
}

# It depends on the place; the line may even stay right, or become that of another request. Two answers to one request
# are right lines, each for itself.
OPEN = {
    "twice different": twice_different,
    "truncated": truncate,
    "flipped": flip_byte,
    "swapped": swap_bytes,
    "cut": cut_out,
    "inserted": insert_bytes,
    "noise": noise,
    "BOM": lambda chance, message: b"\xef\xbb\xbf" + line(message),
    "infinite info": _raw("info", '{"a":1e999}', '{"a":' + "9" * 400 + "}"),
    "UTF-16": lambda chance, message: line(message)[:-1].decode().encode("utf-16-be") + b"\n",
}
LINES = {**HARMLESS, **REFUSED, **OPEN}
