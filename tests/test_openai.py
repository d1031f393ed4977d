"""The runner `openai` in its own environment, as a real worker, against a chat server on loopback that misbehaves."""

import base64
import hashlib
import http.server
import io
import itertools
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageChops, ImageDraw

from orchestrator import api
from orchestrator.config import open_workspace
from orchestrator.protocol import Failure, Response
from tests.endpoints import ask, ask_all, make_repository, said_to, worker
from tests.faults.api import ANSWERED_AT_ONCE, ANSWERED_LATER, CUT_OFF, REFUSED
from tests.servers.chat import chat_server
from tests.workers import load, receive

pytestmark = pytest.mark.slow  # for the package registry; the tests themselves take seconds
AZURE = {"azure_endpoint": "https://x.openai.azure.com", "deployment": "g", "api_version": "1"}
KEY = "canary-5up3r-s3cr3t/+key"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return make_repository(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def server():
    with chat_server() as running:
        yield running


@pytest.fixture
def own_server():
    """Start a server for one test: what it says of its limits or of a key stays in the account's memory."""
    with chat_server() as running:
        yield running


FAULTS = (*ANSWERED_LATER, *ANSWERED_AT_ONCE, *REFUSED)


@pytest.fixture(scope="module")
def table(repository, server):
    """Ask about every fault in one worker, all at once; return what came of each, and how many requests it took."""
    prompts = [f"fault={name} of the table" for name in FAULTS]
    with worker(repository, server.url, timeouts={"read": 0.5}) as session:
        load(session)
        answers = ask_all(session, prompts)
    counts = [len(said_to(server, prompt)) for prompt in prompts]
    return dict(zip(FAULTS, zip(answers, counts, strict=True), strict=True))


@pytest.mark.parametrize("name", ANSWERED_LATER)
def test_a_passing_fault_is_tried_again(table, name):
    answer, count = table[name]
    assert (answer.text, answer.stop_reason) == (f"fault={name} of the table", "stop")
    assert answer.info["attempts"] == count == 2


@pytest.mark.parametrize("name", ANSWERED_AT_ONCE)
def test_an_answer_is_an_answer_however_it_ends(table, name):
    answer, count = table[name]
    stop_reason, text = ANSWERED_AT_ONCE[name]
    assert answer.stop_reason == stop_reason
    assert answer.text == (f"fault={name} of the table" if text is None else text)
    assert answer.info["attempts"] == count == 1


@pytest.mark.parametrize("name", REFUSED)
def test_a_lasting_fault_is_one_sentence_after_as_many_attempts_as_it_is_worth(table, name):
    failure, count = table[name]
    kind, attempts, words = REFUSED[name]
    assert isinstance(failure, Failure)
    assert (failure.kind, count) == (kind, attempts)
    assert words in failure.message
    assert failure.message.startswith("127.0.0.1:")


def test_what_may_have_been_billed_twice_is_said(table):
    billed = {name for name in ANSWERED_LATER if table[name][0].info.get("maybe_billed")}
    assert {"hang", "silence", "reset-half", "malformed"} <= billed
    assert not billed & {"408", "503", "529"}


def test_the_model_that_served_is_said(table):
    assert table["moved"][0].info["served_model"] == "m-2099-01-01"
    assert table["503"][0].info["served_model"] == "m"


@pytest.mark.parametrize(("form", "least", "most"), [("s:1", 1, 1.15), ("ms:300", 0.3, 0.35), ("date:2", 0.9, 2.2)])
def test_a_rate_limit_is_waited_out_for_as_long_as_it_says(repository, own_server, form, least, most):
    answer = ask(repository, own_server.url, f"fault=429-{form}*2")
    times = [request["time"] for request in own_server.requests()]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert len(gaps) == 2
    assert least <= min(gaps)
    assert max(gaps) <= most + 0.5  # what a busy machine adds
    assert answer.info["attempts"] == 3
    assert answer.info["rate_limited_s"] == pytest.approx(sum(gaps), abs=1.0)


@pytest.mark.parametrize("form", ["429", "429-past", "429-bad", "error-200:429"])
def test_a_rate_limit_that_says_no_time_is_tried_again_soon(repository, own_server, form):
    assert ask(repository, own_server.url, f"fault={form}").info["attempts"] == 2


def test_a_wait_that_the_endpoint_asks_for_is_no_attempt(repository, own_server):
    assert ask(repository, own_server.url, "fault=429-ms:20*3,503", attempts_max=2).info["attempts"] == 5
    failure = ask(repository, own_server.url, "fault=429-ms:20*", timeouts={"item": 0.5})
    assert failure.kind == "rate_limited"


def test_a_pause_of_ten_minutes_is_an_error_for_all_at_once(repository, own_server):
    with worker(repository, own_server.url, concurrency_max=1) as session:
        load(session)
        answers = ask_all(session, ["fault=429-long:600*", *(f"question {n}" for n in range(20))])
    assert {(answer.kind, answer.final) for answer in answers} == {("rate_limited", True)}
    assert all("no request is wanted for" in answer.message for answer in answers)
    assert len(own_server.requests()) == 1


@pytest.mark.parametrize("name", [name for name in CUT_OFF if not name.startswith("429")])
def test_what_no_retry_mends_is_the_end_for_all_that_waits(repository, own_server, name):
    with worker(repository, own_server.url, concurrency_max=1, rpm=2) as session:
        load(session)
        began = time.monotonic()
        answers = ask_all(session, [f"fault={name}*", *(f"question {n}" for n in range(20))])
        elapsed = time.monotonic() - began
    assert {(answer.kind, answer.final, answer.message) for answer in answers} == {
        ("bad_params", True, answers[0].message)
    }
    assert CUT_OFF[name] in answers[0].message
    assert elapsed < 5  # the account has a turn every 31 s
    assert {request["server"] for request in own_server.requests()} == {"main"}  # and not where a redirect leads
    assert len(own_server.requests()) == 1


def test_who_waits_to_try_again_does_not_where_the_end_comes_meanwhile(repository, own_server):
    with worker(repository, own_server.url, backoff_s=300, concurrency_max=2) as session:
        load(session)
        began = time.monotonic()
        first, *others = ask_all(session, ["fault=slow:0.3,401*", "fault=503*", "fault=slow:1,401*", "fault=401*"])
    assert first.text.startswith("fault=slow")
    assert {answer.final for answer in others[:1] + others[2:]} == {True}
    assert time.monotonic() - began < 5


def test_a_missing_key_is_told_before_anything_is_asked(repository, own_server):
    with worker(repository, own_server.url, api_key_env="NO_SUCH_KEY") as session:
        (gone,) = receive(session)
    assert gone.error.kind == "bad_params"
    assert "the API key is missing: set it in the environment or in the workspace's .env file, as NO_SUCH_KEY" in (
        gone.error.message
    )
    assert own_server.requests() == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"model": ""}, "model = '': say which one to ask"),
        ({"base_url": "localhost:8000"}, "base_url = 'localhost:8000': expected an address"),
        ({"base_url": "https://me:pass@host/v1"}, "an address with a password would land in every result"),
        ({"azure_endpoint": "https://x.openai.azure.com"}, "deployment = '': Azure OpenAI needs it"),
        ({"headers": {"Authorization": "Bearer x"}}, "headers: 'Authorization' would land in every result"),
        ({"extra_params": {"stream": True}}, "extra_params: 'stream' is the runner's own"),
        ({"timeouts": {"reed": 3}}, "timeouts: there is no 'reed'"),
        ({"temperature": "hot"}, "temperature = 'hot': expected float"),
        ({"max_tokens": 3}, "did you mean 'max_new_tokens'?"),
        ({"base_url": "http://127.0.0.1:99999/v1"}, "base_url = 'http://127.0.0.1:99999/v1': expected an address"),
        ({"base_url": "http://127.0.0.1:abc/v1"}, "base_url = 'http://127.0.0.1:abc/v1': expected an address"),
        ({"base_url": "http://[::1/v1"}, "base_url = 'http://[::1/v1': expected an address"),
        ({"base_url": "http://a host/v1"}, "base_url = 'http://a host/v1': expected an address"),
        ({**AZURE, "azure_endpoint": f"{AZURE['azure_endpoint']}/openai/deployments/g"}, "paste what stands before"),
        ({**AZURE, "azure_endpoint": f"{AZURE['azure_endpoint']}?api-version=1"}, "paste what stands before /openai"),
        ({"headers": {"Cookie": "session=1"}}, "headers: 'Cookie' would land in every result"),
        ({"headers": {"X Y:": "a"}}, "under a plain name"),
        ({"api_key_env": "PATH", "api_key_header": "x y"}, "api_key_header = 'x y': expected a header's name"),
        ({"api_key_env": "PATH", "api_key_header": "Content-Type"}, "expected a header's name"),
        ({"price_input": -1.0, "price_output": 1.0}, "price_input = -1.0: expected 0 or more"),
        ({"price_input": 1.0}, "price_input and price_output: say both, or neither"),
        ({"timeouts": {"read": True}}, "timeouts: read = True: expected a number of seconds"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_told_when_loading(repository, params, words):
    with worker(repository, "http://127.0.0.1:9/v1", **params) as session:
        (gone,) = receive(session)
    assert gone.error.kind == "bad_params"
    assert words in gone.error.message


def test_spaces_around_an_address_are_none_of_it(repository, own_server):
    assert ask(repository, f" {own_server.url}\t").text == "hello"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_certificates_that_are_not_there_are_told_when_loading(repository, tmp_path, monkeypatch, variable):
    (tmp_path / "empty.pem").touch()
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    for path, words in ((tmp_path / "none", "which is not there"), (tmp_path / "empty.pem", "which holds no cert")):
        monkeypatch.setenv(variable, str(path))
        with worker(repository, "https://127.0.0.1:9/v1") as session:
            (gone,) = receive(session)
        assert gone.error.kind == "bad_params"
        assert f"{variable} names '{path}', {words}" in gone.error.message
    monkeypatch.setenv(variable, str(tmp_path))  # a folder may hold them, too
    with worker(repository, "https://127.0.0.1:9/v1") as session:
        load(session)


def test_who_does_not_listen_and_whom_nobody_knows_are_transient(repository):
    for url, words in (
        ("http://127.0.0.1:9/v1", "127.0.0.1:9: no connection: "),
        ("http://nobody.invalid/v1", "nobody.invalid: there is no address of that name"),
    ):
        failure = ask(repository, url)
        assert failure.kind == "transient"
        assert failure.message.startswith(words)
        assert failure.message.endswith("given up after 6 attempts")


def test_a_fault_of_the_address_says_what_to_look_at(repository, own_server):
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{other.server_port}"
        plain = ask(repository, f"https://{host}/v1").message
        other.shutdown()
    assert plain == f"{host}: it does not speak TLS; is base_url to begin with http://, not https://?"
    refused = ask(repository, "http://127.0.0.1:9/v1", attempts_max=1).message
    assert refused == "127.0.0.1:9: no connection: refused; is the server running? Else check base_url"
    lost = ask(repository, own_server.url, "fault=404*").message
    assert lost.endswith("(check base_url, which mostly ends in /v1, and the model's name)")
    azure = {"azure_endpoint": own_server.url.removesuffix("/v1"), "deployment": "d", "api_version": "1"}
    lost = ask(repository, "", "fault=404*", **azure).message
    assert lost.endswith("(check azure_endpoint, deployment and api_version)")


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_a_certificate_that_nobody_vouches_for_is_never_tried_twice(repository, tmp_path, monkeypatch):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert)
    subprocess.run((*make, *names), check=True, capture_output=True)
    with tls_server(cert, key) as (port, connections):
        failure = ask(repository, f"https://localhost:{port}/v1")
        assert (failure.kind, failure.final, len(connections)) == ("bad_params", True, 1)
        assert "its certificate is not trusted (self" in failure.message
        assert "SSL_CERT_FILE" in failure.message
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert ask(repository, f"https://localhost:{port}/v1").text == "trusted"


@contextmanager
def tls_server(cert, key):
    """Run a server that answers everything alike; yield its port and the list of connections made to it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    answer = json.dumps({"choices": [{"message": {"content": "trusted"}, "finish_reason": "stop"}]}).encode()
    connections = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

    class Server(http.server.ThreadingHTTPServer):
        def get_request(self):
            connection, address = super().get_request()
            connections.append(address)
            return context.wrap_socket(connection, server_side=True), address

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port, connections
        finally:
            server.shutdown()
            thread.join()


def test_the_standard_variables_name_a_proxy(repository, own_server, monkeypatch):
    monkeypatch.setenv("http_proxy", own_server.url.removesuffix("/v1"))
    assert ask(repository, "http://behind.invalid/v1").text == "hello"
    assert own_server.requests()[0]["path"] == "http://behind.invalid/v1/chat/completions"
    monkeypatch.setenv("no_proxy", "behind.invalid")
    assert "there is no address of that name" in ask(repository, "http://behind.invalid/v1", attempts_max=1).message


def test_a_server_that_takes_nothing_in_is_left_in_time(repository, tmp_path):
    (tmp_path / "large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(20_000_000))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        failure = ask(repository, url, images=[tmp_path / "large.jpg"], timeouts={"write": 0.3}, attempts_max=1)
    assert failure.kind == "transient"
    assert failure.message.endswith(": the request was not taken in in time")


@pytest.fixture
def images(tmp_path):
    """Draw a picture in each format; the JPEG has an EXIF orientation."""
    picture = Image.effect_noise((60, 40), 80).convert("RGB")
    exif = Image.Exif()
    exif[274] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    for name in ("b.png", "c.webp", "d.gif", "e.bmp", "f.tiff"):
        picture.save(tmp_path / name)
    (tmp_path / "misnamed.png").write_bytes((tmp_path / "a.jpg").read_bytes())
    return tmp_path


def types_of(request):
    parts = request["body"]["messages"][-1]["content"]
    return [part["image_url"]["url"].partition(";")[0] for part in parts if part["type"] == "image_url"]


def test_images_go_as_their_own_bytes_with_the_type_of_their_content(repository, own_server, images):
    paths = [images / name for name in ("a.jpg", "b.png", "c.webp", "d.gif", "misnamed.png")]
    answer = ask(repository, own_server.url, "look", paths)
    (request,) = own_server.requests()
    assert request["images"] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert types_of(request) == [f"data:image/{name}" for name in ("jpeg", "png", "webp", "gif", "jpeg")]
    assert answer.info["images"] == [{"width": 60, "height": 40, "tokens": None}] * 5


def test_what_endpoints_do_not_read_becomes_png_and_that_is_said(repository, own_server, images):
    answer = ask(repository, own_server.url, "look", [images / "e.bmp", images / "f.tiff"])
    (request,) = own_server.requests()
    assert types_of(request) == ["data:image/png"] * 2
    assert [image["converted_from"] for image in answer.info["images"]] == ["BMP", "TIFF"]


def test_only_who_asks_for_it_has_images_shrunk_and_that_is_said(repository, own_server, images):
    paths = [images / "a.jpg", images / "e.bmp", images / "d.gif"]
    answer = ask(repository, own_server.url, "look", paths, max_side=30)
    assert types_of(own_server.requests()[0]) == ["data:image/jpeg", "data:image/png", "data:image/gif"]
    for sent in answer.info["images"]:
        assert (sent["width"], sent["height"], sent["original"]) == (30, 20, [60, 40])
    same = ask(repository, own_server.url, "look again", paths[:1], max_side=60)
    assert "original" not in same.info["images"][0]
    assert own_server.requests()[1]["images"] == [hashlib.sha256(paths[0].read_bytes()).hexdigest()]


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_a_scan_in_black_and_white_is_shrunk_to_shades_of_grey(repository, tmp_path, monkeypatch, suffix):
    page = Image.new("1", (1200, 300), 1)
    ImageDraw.Draw(page).text((10, 10), "The quick brown fox\njumps over the lazy dog", fill=0, font_size=90)
    page.save(tmp_path / f"page.{suffix}")
    page.convert("L").save(tmp_path / "grey.png")
    sent = [read_sent(repository, tmp_path / name, 300) for name in (f"page.{suffix}", "grey.png")]
    assert ImageChops.difference(*sent).getextrema()[1] <= 1
    assert len(sent[0].getcolors()) > 50


def read_sent(repository, path, max_side):
    """Return the image that an endpoint gets of `path`, in shades of grey."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"choices":[{"message":{"content":"x"}}]}')

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        ask(repository, f"http://127.0.0.1:{server.server_port}/v1", "look", [path], max_side=max_side)
        thread.join()
    data = got[0]["messages"][-1]["content"][0]["image_url"]["url"].partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return image.convert("L")


def test_the_body_is_what_the_parameters_say(repository, own_server, images):
    more = {"response_format": {"type": "json_object"}, "reasoning_effort": "low"}
    given = {"max_tokens_field": "max_completion_tokens", "max_new_tokens": 7, "temperature": "", "seed": 3}
    ask(
        repository, own_server.url, "Что «здесь»?\n", [images / "b.png"], "Be brief.",
        extra_params=more, image_detail="low", **given,
    )  # fmt: skip
    (request,) = own_server.requests()
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,#1", "detail": "low"}}
    assert request["body"] == {
        "model": "m",
        "max_completion_tokens": 7,
        "seed": 3,
        **more,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [picture, {"type": "text", "text": "Что «здесь»?\n"}]},
        ],
    }


def test_each_repeat_has_the_next_seed(repository, own_server):
    with worker(repository, own_server.url, seed=3) as session:
        load(session)
        ask_all(session, ["one"])
        ask_all(session, ["two"], repeat=2)
    assert [request["body"]["seed"] for request in own_server.requests()] == [3, 4]


def test_turns_are_sent_as_turns(repository, own_server, images):
    text = {"type": "text", "text": "what?"}
    turns = [
        {"role": "user", "content": [{"type": "image", "path": str(images / "b.png")}, text]},
        {"role": "assistant", "content": [{"type": "text", "text": "that"}]},
        {"role": "user", "content": [text]},
    ]
    with worker(repository, own_server.url) as session:
        load(session)
        ask_all(session, ["flat"], system="Be brief.", messages=turns)
    messages = own_server.requests()[0]["body"]["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[1]["content"][1] == text
    assert messages[2]["content"] == "that"


def test_azure_is_asked_by_deployment_and_version_with_its_own_header(repository, own_server, monkeypatch):
    monkeypatch.setenv("AZURE_KEY", KEY)
    azure = {"azure_endpoint": own_server.url.removesuffix("/v1") + "/", "deployment": "my gpt", "model": ""}
    answer = ask(repository, "", api_version="2024-10-21", api_key_env="AZURE_KEY", **azure)
    (request,) = own_server.requests()
    assert request["path"] == "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"
    assert request["authorization"] == hashlib.sha256(KEY.encode()).hexdigest()
    assert answer.text == "hello"


def test_tokens_and_cost_are_on_every_answer(repository, own_server, images):
    prices = {"price_input": 2.0, "price_output": 10.0}
    answer = ask(repository, own_server.url, "one two three", [images / "b.png"], **prices)
    assert (answer.input_tokens, answer.output_tokens) == (103, 3)
    assert answer.info["cost"] == pytest.approx((103 * 2 + 3 * 10) / 1e6)


def test_a_text_of_five_megabytes_comes_whole(repository, own_server):
    with worker(repository, own_server.url) as session:
        load(session)
        (answer,) = ask_all(session, ["fault=big:5000000"])
        spilled = list((session.spec.spill).glob("*.txt"))
    assert answer.text_sha256 or len(answer.text) == 5_000_000
    assert [path.stat().st_size for path in spilled] == [5_000_000]


def test_sixty_four_are_under_way_at_the_same_time_and_connections_are_kept(repository):
    with chat_server(latency_ms=50) as server, worker(repository, server.url) as session:
        load(session)
        answers = ask_all(session, [f"question {n}" for n in range(512)])
        connections = {request["connection"] for request in server.requests()}
        (figures,) = server.state()["quotas"].values()
    assert [answer.text for answer in answers] == [f"question {n}" for n in range(512)]
    assert figures["concurrent_peak"] == 64
    assert len(connections) <= 64


@pytest.mark.parametrize("limits", [{"concurrency_max": 2}, {"rpm": 2.0}, {"faults": "429-s:30*"}])
def test_once_told_to_end_it_sends_nothing_more(repository, limits):
    faults = limits.get("faults", "")
    params = {name: value for name, value in limits.items() if name != "faults"}
    with chat_server(latency_ms=800, faults=faults) as slow, worker(repository, slow.url, **params) as session:
        load(session)
        for number in range(10):
            session.send({"type": "request", "id": str(number), "prompt": f"{number}"})
        session.flush()
        time.sleep(2 if faults else 0.4)
        began, asked = time.monotonic(), slow.state()["count"]
        events = [event for events in session.close(30) for event in events]
        assert time.monotonic() - began < 5
        assert slow.state()["count"] == asked < 10 or faults
    answers = [event for event in events if isinstance(event, Response)]
    assert len(answers) == (0 if faults else asked)
    cancelled = [event for event in events if isinstance(event, Failure)]
    assert {event.message for event in cancelled} == {"cancelled"}
    assert len(answers) + len(cancelled) == 10


def test_more_than_a_hundred_may_be_under_way(repository):
    with chat_server(latency_ms=200) as server, worker(repository, server.url, concurrency_max=256) as session:
        load(session)
        ask_all(session, [f"question {n}" for n in range(1000)])
        (figures,) = server.state()["quotas"].values()
    assert figures["concurrent_peak"] > 100


def test_half_a_key_is_not_left_where_a_message_is_cut(repository, own_server, monkeypatch):
    long = "key-" + "0123456789abcdef" * 30
    monkeypatch.setenv("LONG_KEY", long)
    failure = ask(repository, own_server.url, "fault=echo:400", api_key_env="LONG_KEY")
    assert failure.kind == "bad_params"
    assert "0123456789abcdef" not in failure.message


def test_no_file_of_a_run_holds_the_key_whatever_the_endpoint_says(repository, own_server, tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY_KEY", KEY)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    words = ("echo:400", "echo:500*", "echo-text", "503", "close*", "echo:422", "plain")
    rows = "".join(f"fault={word},x\n" for word in words)
    (repository.root / "datasets" / "canary.csv").write_text("question,answer\n" + rows)
    (repository.root / "bakeoff.toml").write_text(
        f'[models.canary]\nrunner = "openai"\nmodel = "m"\nbase_url = "{own_server.url}"\n'
        'api_key_env = "CANARY_KEY"\nbackoff_s = 0.01\n'
    )
    outcome = api.run(models="canary", dataset="canary", workspace=open_workspace(repository.root))
    sent = {request["authorization"] for request in own_server.requests()}
    assert sent == {hashlib.sha256(f"Bearer {KEY}".encode()).hexdigest()}
    found = pq.read_table(outcome.folder / "predictions" / "canary.parquet").to_pylist()
    assert {row["status"] for row in found} == {"ok", "error"}
    written = b"".join(path.read_bytes() for path in outcome.folder.rglob("*") if path.is_file())
    everything = written + "".join(f"{row}" for row in found).encode()
    for form in (KEY.encode(), base64.b64encode(KEY.encode()).rstrip(b"="), KEY.replace("/", "%2F").encode()):
        assert form not in everything
