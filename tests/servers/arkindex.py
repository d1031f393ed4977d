"""An Arkindex server on loopback, with its schema, its pagination, its errors and a IIIF server for its images.

It has the project of tests.servers.arkindex_project. Shapes are those that Teklia's own clients read.
"""

import contextlib
import io
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from PIL import Image

from tests.servers import arkindex_project as project

PAGED = ("page", "page_size")
OPERATIONS = {  # name: path, further parameters
    "RetrieveElement": ("/api/v1/element/{id}/", ()),
    "ListElementChildren": (
        "/api/v1/elements/{id}/children/",
        (*PAGED, "recursive", "type", "with_zone", "with_classes", "order"),
    ),
    "ListTranscriptions": ("/api/v1/element/{id}/transcriptions/", (*PAGED, "recursive", "element_type", "worker_run")),
    "ListTranscriptionEntities": ("/api/v1/transcription/{id}/entities/", PAGED),
    "ListElementMetaData": ("/api/v1/element/{id}/metadata/", ()),
    "RetrieveDataset": ("/api/v1/datasets/{id}/", ()),
    "ListDatasetElements": ("/api/v1/datasets/{id}/elements/", ("cursor", "page_size", "with_count", "set")),
    "RetrieveWorkerRun": ("/api/v1/process/workers/{id}/", ()),
}


@dataclass
class Arkindex:
    """What a test sees and changes.

    `faults` maps an operation to answers that come first: (status, headers, body). An `is_old` server names worker
    versions instead of runs, has an entity within an entity, another form of error, and knows no filter by run.
    """

    url: str
    token: str | None
    is_old: bool
    page_max: int
    hides_elements: bool
    hits: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    faults: dict[str, list[tuple[int, dict[str, str], Any]]] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)

    def asked(self, operation):
        return [query for name, query in self.hits if name == operation]


@contextlib.contextmanager
def arkindex_server(*, token="t0ken-of-the-tests", is_old=False, page_max=2, hides_elements=False):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            with contextlib.suppress(OSError):
                respond(server, self)

        def log_message(self, *_):
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server = Arkindex(f"http://127.0.0.1:{listener.server_port}", token, is_old, page_max, hides_elements)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def respond(server, handler):
    parts = urlsplit(handler.path)
    if parts.path.startswith("/iiif/"):
        server.images.append(parts.path.removeprefix("/iiif/"))
        return send(handler, *picture(parts.path.removeprefix("/iiif/")), kind="image/jpeg")
    if parts.path == "/api/v1/openapi/":
        status, headers, body = (server.faults.get("openapi") or [(200, {}, schema(server))])[0]
        return send(handler, status, body, headers)
    for name, (path, _) in OPERATIONS.items():
        match = re.fullmatch(path.replace("{id}", "([^/]+)"), parts.path)
        if match:
            return answer(server, handler, name, match[1], dict(parse_qsl(parts.query)))
    return send(handler, 404, error(server, "Not found."))


def answer(server, handler, name, given, query):
    server.hits.append((name, query))
    server.tokens.append(handler.headers.get("Authorization"))
    if server.faults.get(name):
        status, headers, body = server.faults[name].pop(0)
        return send(handler, status, body if body is not None else error(server, "told to fail"), headers)
    if server.token is not None and handler.headers.get("Authorization") != f"Token {server.token}":
        return send(handler, 401, error(server, "Invalid token.", "authentication_failed"))
    value = VIEWS[name](server, given, query)
    if value is None:
        return send(handler, 404, error(server, "No such thing matches the given query.", "not_found"))
    if "cursor" in OPERATIONS[name][1]:
        value = cursor_page(server, handler.path, value, query)
    elif "page" in OPERATIONS[name][1]:
        value = numbered_page(server, handler.path, value, query)
    return send(handler, 200, value)


def send(handler, status, body, headers=None, kind="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": kind, **(headers or {}), "Content-Length": str(len(data))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


def error(server, detail, code="error"):
    if server.is_old:
        return {"detail": detail}
    return {"type": "client_error", "errors": [{"attr": None, "code": code, "detail": detail}]}


def schema(server):
    paths = {}
    for name, (path, parameters) in OPERATIONS.items():
        known = [each for each in parameters if not (server.is_old and each == "worker_run")]
        listed = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
        listed += [{"name": each, "in": "query", "schema": {"type": "string"}} for each in known]
        paths[path] = {"get": {"operationId": name, "parameters": listed, "responses": {}}}
    return {"openapi": "3.0.3", "info": {"title": "Arkindex", "version": "1.11"}, "paths": paths}


def numbered_page(server, path, items, query):
    size = min(int(query.get("page_size", 20)), server.page_max)
    number = int(query.get("page", 1))
    rest = items[number * size :]
    base = f"{server.url}{urlsplit(path).path}"
    return {
        "count": len(items),
        "number": number,
        "previous": None,
        "next": f"{base}?page={number + 1}" if rest else None,
        "results": items[(number - 1) * size : number * size],
    }


def cursor_page(server, path, items, query):
    start = int(query.get("cursor", "c0").removeprefix("c"))
    end = start + server.page_max
    base = f"{server.url}{urlsplit(path).path}"
    return {
        "count": len(items) if query.get("with_count") else None,
        "previous": None,
        "next": f"{base}?cursor=c{end}" if end < len(items) else None,
        "results": items[start:end],
    }


def made_by(server, run):
    if server.is_old:
        return {"worker_version": project.VERSION if run else None}
    return {"worker_run": {"id": run, "summary": "Reader @ version 1"} if run else None}


def element(server, given, *, with_zone=True, with_classes="classes"):
    name, kind, image, polygon, rotation, mirrored, _ = project.ELEMENTS[given]
    shape = {"id": given, "name": name, "type": kind, "corpus": {"id": project.uid(99)}}
    shape |= {"rotation_angle": rotation, "mirrored": mirrored}
    if with_zone:
        shape["zone"] = zone(server, image, polygon) if image else None
    if with_classes:
        shape[with_classes] = [
            {"id": "x", "ml_class": {"id": "y", "name": c}, "state": state, "confidence": sure, **made_by(server, run)}
            for owner, c, sure, state, run in project.CLASSES
            if owner == given
        ]
    return shape


def zone(server, image, polygon):
    width, height = project.IMAGES[image]
    url = f"{server.url}/iiif/{image}"
    listed = {"url": f"{server.url}/iiif", **project.SERVER}
    picture = {"id": image, "url": url, "width": width, "height": height, "s3_url": None, "server": listed}
    return {"id": "z", "polygon": polygon, "url": f"{url}/0,0,1,1/full/0/default.jpg", "image": picture}


def retrieve_element(server, given, query):
    return element(server, given, with_classes="classifications") if given in project.ELEMENTS else None


def list_children(server, given, query):
    if given not in project.ELEMENTS:
        return None
    found = project.below(given)
    if query.get("recursive") != "True":
        found = [each for each in found if given in project.ELEMENTS[each][6]]
    shown = [each for each in found if project.ELEMENTS[each][1] == query.get("type", project.ELEMENTS[each][1])]
    with_classes = "classes" if query.get("with_classes") == "True" else None
    return [element(server, e, with_zone=query.get("with_zone") == "True", with_classes=with_classes) for e in shown]


def list_texts(server, given, query):
    if given not in project.ELEMENTS:
        return None
    owners = [given, *(project.below(given) if query.get("recursive") == "True" else [])]
    kind = query.get("element_type")
    shown = [
        {"id": i, "text": text, "confidence": sure, "orientation": "horizontal-lr", **made_by(server, run)}
        | ({} if server.hides_elements else {"element": {"id": owner, "type": project.ELEMENTS[owner][1]}})
        for i, owner, text, sure, run in project.TEXTS
        if owner in owners and (kind is None or project.ELEMENTS[owner][1] == kind)
    ]
    if server.is_old:
        return shown
    if query.get("worker_run") == "False":
        shown = [each for each in shown if each["worker_run"] is None]
    if query.get("worker_run") not in {None, "False"}:
        shown = [each for each in shown if (each["worker_run"] or {}).get("id") == query["worker_run"]]
    return shown


def list_entities(server, given, query):
    def shape(kind):
        named = {"id": kind.upper(), "name": kind}
        return {"entity": {"id": "e", "name": "x", "type": named}} if server.is_old else {"type": named}

    return [
        {**shape(kind), "offset": offset, "length": length, "confidence": None, **made_by(server, run)}
        for text, kind, offset, length, run in project.ENTITIES
        if text == given
    ]


def list_metadata(server, given, query):
    return [
        {"id": "m", "type": kind, "name": name, "value": value, **made_by(server, run)}
        for owner, kind, name, value, run in project.METADATA
        if owner == given
    ]


def retrieve_dataset(server, given, query):
    if given != project.DATASET:
        return None
    names = dict.fromkeys(name for name, _ in project.MEMBERS)
    return {"id": given, "name": "All", "sets": list(names) if server.is_old else [{"id": n, "name": n} for n in names]}


def list_members(server, given, query):
    shaped = {"with_zone": not server.is_old, "with_classes": None}
    return [{"set": name, "element": element(server, each, **shaped)} for name, each in project.MEMBERS]


def retrieve_run(server, given, query):
    return {"id": given, "worker_version": {"id": project.VERSION}} if given == project.RUN else None


VIEWS = {
    "RetrieveElement": retrieve_element,
    "ListElementChildren": list_children,
    "ListTranscriptions": list_texts,
    "ListTranscriptionEntities": list_entities,
    "ListElementMetaData": list_metadata,
    "RetrieveDataset": retrieve_dataset,
    "ListDatasetElements": list_members,
    "RetrieveWorkerRun": retrieve_run,
}
IIIF = re.compile(r"([^/]+)/(full|\d+,\d+,\d+,\d+)/(full|max|!\d+,\d+)/(!?)(\d+)/default\.jpg")


def picture(path):
    """Return status and body for region/size/rotation of an image whose left half is black and whose top is white."""
    match = IIIF.fullmatch(path)
    if match is None or match[1] not in project.IMAGES:
        return 400, b"{}"
    width, height = project.IMAGES[match[1]]
    image = Image.new("L", (width, height), 128)
    image.paste(0, (0, 0, width // 2, height))
    image.paste(255, (0, 0, width, height // 4))
    if match[2] != "full":
        left, top, wide, high = map(int, match[2].split(","))
        if left + wide > width or top + high > height:
            return 400, b"{}"
        image = image.crop((left, top, left + wide, top + high))
    if match[1] == project.IMAGE_2 and match[3] == "full":  # a server of version 3 at heart
        return 400, b"{}"
    if match[3].startswith("!"):
        image.thumbnail(tuple(map(int, match[3][1:].split(","))))
    if match[4]:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    file = io.BytesIO()
    image.rotate(-int(match[5]), expand=True).save(file, "JPEG")
    return 200, file.getvalue()
