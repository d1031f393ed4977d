"""Ask a chat server under an account's limits, as one process of several: URL, FOLDER, RPM, MINUTE_S, SECONDS.

Says `ready`, begins when its input ends, and prints counts and times as JSON.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append(str(Path(__file__).parents[1] / "runners" / "openai"))
import limits
import pace
from account_file import AccountFile, account_path

URL, FOLDER, RPM, MINUTE_S, SECONDS = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:])
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]})


async def post():
    """Return the status and how long the server asks to wait."""
    address = urlsplit(URL)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\ncontent-length: {len(BODY)}"
    writer.write(f"{head}\r\n\r\n{BODY}".encode())
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    writer.close()
    waits = [float(line.partition(":")[2]) for line in lines if line.startswith("retry-after-ms:")]
    return int(lines[0].split()[1]), waits[0] / 1000 if waits else None


async def ask(account, told):
    is_retry = False
    while True:
        async with account.slot(1, retry=is_retry) as slot:
            told["sent"].append(time.monotonic())
            status, retry_after_s = await post()
            if status == 200:
                slot.ok()
                told["ok"] += 1
                is_retry = False
                continue
            is_retry = True
            slot.limited(retry_after_s)
            told["refused"] += 1
            if retry_after_s:
                told["pauses"].append((time.monotonic(), time.monotonic() + retry_after_s))


async def main():
    file = AccountFile(account_path(URL, "k", Path(FOLDER)))
    account = limits.Account(file, pace.Rates(RPM or None, None, MINUTE_S), 64)
    told = {"ok": 0, "refused": 0, "sent": [], "pauses": []}
    print("ready", flush=True)
    sys.stdin.read()
    tasks = [asyncio.ensure_future(ask(account, told)) for _ in range(64)]
    await asyncio.sleep(SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(told))


asyncio.run(main())
