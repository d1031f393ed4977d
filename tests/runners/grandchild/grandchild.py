import json
import subprocess
import sys

for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "hello":
        reply = {"type": "hello", "protocol": 1, "nonce": message["nonce"]}
    elif message["type"] == "load":
        reply = {"type": "loaded"}
    else:
        child = subprocess.Popen(["sleep", "60"])
        reply = {"type": "response", "id": message["id"], "text": str(child.pid), "latency_s": 0}
    print(json.dumps(reply), flush=True)
    if message["type"] == "request":
        sys.exit(5)
