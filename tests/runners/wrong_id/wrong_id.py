import json
import sys

answers = 0
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "hello":
        reply = {"type": "hello", "protocol": 1, "nonce": message["nonce"]}
    elif message["type"] == "load":
        reply = {"type": "loaded"}
    elif message["type"] == "request":
        answers += 1
        reply = {"type": "response", "id": f"nobody-{answers}", "text": "?", "latency_s": 0}
    else:
        break
    print(json.dumps(reply), flush=True)
