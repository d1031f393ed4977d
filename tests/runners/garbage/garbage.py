"""Say what the JSON in the first argument says."""

import json
import os
import sys
import time

script = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


for banner in script.get("before", ()):
    say(banner)
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "hello" and not script.get("mute"):
        protocol = script.get("protocol", 1)
        say(json.dumps({"type": "hello", "protocol": protocol, "nonce": message["nonce"]}))
    elif message["type"] == "load":
        for answer in script.get("loaded", ['{"type":"loaded"}']):
            say(answer)
    elif message["type"] == "request":
        for answer in script.get("answers", ["this is no JSON"]):
            say(answer.replace("ID", message["id"]).replace("LONG", "x" * (5 << 20)))
        if script.get("close_stdout"):
            os.close(1)
            time.sleep(60)
    elif message["type"] == "shutdown":
        break
