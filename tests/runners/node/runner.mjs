import { createInterface } from "node:readline";

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");

for await (const line of createInterface({ input: process.stdin, crlfDelay: 0 })) {
  const message = JSON.parse(line);
  if (message.type === "hello") {
    say({ type: "hello", protocol: 1, nonce: message.nonce, runner: "node" });
  } else if (message.type === "load") {
    say({ type: "loaded" });
  } else if (message.type === "request") {
    const start = performance.now();
    say({ type: "started", ids: [message.id] });
    const text = message.prompt.toUpperCase();
    say({ type: "response", id: message.id, text, latency_s: (performance.now() - start) / 1000 });
  } else if (message.type === "ping") {
    say({ type: "pong", seq: message.seq });
  } else if (message.type === "shutdown") {
    say({ type: "bye" });
    break;
  }
}
process.exit(0);
