"""A stand-in for the Hugging Face hub on loopback: one checkpoint, or nothing but refusals."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve(folder=None, status=404, error_code="RepoNotFound"):  # noqa: C901
    """Yield (address, paths asked for): the files of `folder` as `org/tiny`, or for all the same refusal."""
    asked = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if folder is None:
                self.reply(b"{}", status, {"X-Error-Code": error_code})
            elif self.path.startswith("/api/models/org/tiny/tree/"):
                self.reply(json.dumps([entry(path) for path in sorted(folder.iterdir())]).encode())
            elif self.path.startswith("/api/models/org/tiny"):
                files = [{"rfilename": path.name} for path in sorted(folder.iterdir())]
                self.reply(json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": files}).encode())
            else:
                self.send_file(folder / self.path.rpartition("/")[2])

        do_HEAD = do_GET  # noqa: N815

        def send_file(self, path):
            if not path.is_file():
                self.reply(b"", 404, {"X-Error-Code": "EntryNotFound"})
                return
            data = path.read_bytes()
            self.reply(data, 200, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT})

        def reply(self, data, status=200, headers=None):
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def entry(path):
    data = path.read_bytes()
    return {"type": "file", "path": path.name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
