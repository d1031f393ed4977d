"""A web server on loopback whose pages are functions of the test: it remembers what it was asked."""

import contextlib
import io
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image


class Server:
    """What a test sees: `url`, `host` (with the port), and `hits`, each a path and its headers in lower case."""

    def __init__(self, port):
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}"
        self.port = port
        self.hits = []

    def paths(self):
        return [path for path, _ in self.hits]


@contextlib.contextmanager
def serving(routes, certificate=None):
    """Serve `routes`: a path (without query) to bytes, or to a function that is given the handler.

    With `certificate`, a folder with cert.pem and key.pem, by https.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            server.hits.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            page = routes.get(self.path.partition("?")[0])
            if page is None:
                answer(self, b"<html>not found</html>", 404)
            elif callable(page):
                with contextlib.suppress(OSError):
                    page(self)
            else:
                answer(self, page)

        def log_message(self, *_):
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
    listener.handle_error = lambda *_: None
    server = Server(listener.server_port)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def answer(handler, body=b"", status=200, headers=None, *, length=None):
    """Send a whole response; `length` is what its Content-Length says where that is not the truth, -1 for none."""
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    if length != -1:
        handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()
    handler.close_connection = True


def redirect(to, status=302):
    return lambda handler: answer(handler, status=status, headers={"Location": to})


def png(color=(9, 9, 9), size=(8, 8)):
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def jpeg(size=(64, 64)):
    file = io.BytesIO()
    Image.effect_noise(size, 80).save(file, "JPEG")
    return file.getvalue()
