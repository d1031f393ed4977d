"""The least that a Python client can do: keep so many requests in flight, each built as bytes, and read the answers.

Started as `python bare_api_client.py FOLDER HOST PORT IN_FLIGHT QUESTION`; prints the seconds from the first request to
the last answer. It retries nothing, writes nothing, and checks one thing: that each answer is the question.
"""

import asyncio
import base64
import itertools
import json
import sys
import time
from pathlib import Path

try:
    import uvloop as loops
except ImportError:
    loops = asyncio

LIMIT = 1 << 20


async def ask(reader, writer, head, before, data, after):
    """Send one request on a connection that is kept, and return the answer's text."""
    image = base64.b64encode(data)
    length = len(before) + len(image) + len(after)
    writer.write(b"%bcontent-length: %d\r\n\r\n%b%b%b" % (head, length, before, image, after))
    await writer.drain()
    got = await reader.readuntil(b"\r\n\r\n")
    lower = got.lower()
    start = lower.index(b"content-length:") + len(b"content-length:")
    body = await reader.readexactly(int(lower[start : lower.index(b"\r\n", start)]))
    assert got.startswith(b"HTTP/1.1 200 "), got
    return json.loads(body)["choices"][0]["message"]["content"]


async def work(numbers, images, host, port, question):
    """Ask about image after image, as long as there is one, on one connection."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: %b:%d\r\nauthorization: Bearer sk-loopback\r\n" % (
        host.encode(),
        port,
    )
    head += b"content-type: application/json\r\n"
    marked = [{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,@"}}, {"type": "text", "text": "^"}]
    skeleton = json.dumps({"model": "loopback", "messages": [{"role": "user", "content": marked}]})
    before, rest = skeleton.split("@")
    reader, writer = await asyncio.open_connection(host, port, limit=LIMIT)
    writer.transport.set_write_buffer_limits(high=LIMIT)
    for number in numbers:
        asked = question.replace("{}", str(number))
        after = rest.replace("^", asked).encode()
        assert await ask(reader, writer, head, before.encode(), images[number].read_bytes(), after) == asked
    writer.close()


async def main(folder, host, port, in_flight, question):
    """Ask about every image of `folder`."""
    images = sorted(Path(folder).iterdir())  # noqa: ASYNC240 - nothing else waits yet
    numbers = iter(range(len(images)))
    start = time.perf_counter()
    tasks = [work(numbers, images, host, int(port), question) for _ in range(int(in_flight))]
    await asyncio.gather(*itertools.islice(tasks, len(images)))
    print(time.perf_counter() - start)


if __name__ == "__main__":
    loops.run(main(*sys.argv[1:]))
