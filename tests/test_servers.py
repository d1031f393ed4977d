"""The chat server that tests and benchmarks talk to."""

import base64
import hashlib
import http.client
import json
import time
from urllib.parse import urlsplit

import pytest

from tests.servers.bodies import read_chat
from tests.servers.chat import chat_server, nth_fault

IMAGE = b"\xff\xd8" + bytes(range(256)) * 400 + b"\xff\xd9"


@pytest.fixture(scope="module")
def running():
    with chat_server() as server:
        yield server


@pytest.fixture
def server(running):
    running.set_options(faults="", rpm=None, concurrency=None, latency_ms=0, answer="echo", key=None)
    return running


def body_of(text, *images):
    urls = [f"data:image/jpeg;base64,{base64.b64encode(image).decode()}" for image in images]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content = [*parts, {"type": "text", "text": text}]
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]})


def post(server, text, *images, headers=None, connection=None, path="/v1/chat/completions"):
    """Return status, headers and the body as text; a connection that is not given is closed."""
    used = connection or http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    try:
        used.request("POST", path, body_of(text, *images), headers or {})
        answer = used.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        if connection is None:
            used.close()


def text_of(body):
    return json.loads(body)["choices"][0]["message"]["content"]


def test_a_request_is_answered_with_its_own_text(server):
    """A connection is kept, and the log knows who asked, with which images."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    for text in ("one", "two"):
        status, _, body = post(server, text, IMAGE, headers={"Authorization": "Bearer k"}, connection=connection)
        assert (status, text_of(body)) == (200, text)
    connection.close()
    first, second = server.requests()
    assert first["connection"] == second["connection"]
    assert first["images"] == [hashlib.sha256(IMAGE).hexdigest()]
    assert first["authorization"] == hashlib.sha256(b"Bearer k").hexdigest()
    assert second["body"]["messages"][0]["content"][1]["text"] == "two"
    assert second["body"]["messages"][0]["content"][0]["image_url"]["url"] == "data:image/jpeg;base64,#1"


def test_a_prompt_that_speaks_of_base64_is_left_whole():
    """Only data URLs are cut out of a body."""
    text = 'what is "x;base64,abc"?'
    chat = read_chat(bytearray(body_of(text, IMAGE, IMAGE).encode()))
    assert (chat.text, len(chat.data)) == (text, 2)


def test_faults_follow_the_attempts_of_a_request(server):
    """The first attempt fails by 500, the second by 429, the third goes well; another request has its own."""
    text = "page 7 fault=500,429-ms:20"
    assert [post(server, text)[0] for _ in range(3)] == [500, 429, 200]
    assert post(server, text + " ")[0] == 500
    assert [entry["fault"] for entry in server.requests()] == ["500", "429-ms:20", None, "500"]


def test_faults_can_be_repeated():
    """`*N` lasts N attempts, `*` alone for ever."""
    assert [nth_fault("500*2,ok,429*", n) for n in range(1, 6)] == ["500", "500", None, "429", "429"]


@pytest.mark.parametrize("name", ["close", "reset", "reset-half", "close-half", "short", "chunked-cut", "chunked-bad"])
def test_a_broken_answer_is_no_answer(server, name):
    """The client sees an error of the connection's or of HTTP's."""
    with pytest.raises((OSError, http.client.HTTPException)):
        post(server, f"fault={name}")


def test_connections_are_refused_for_a_time(server):
    """Then the same port answers again."""
    with pytest.raises(ConnectionResetError):
        post(server, "fault=refuse:1")
    refused = 0
    while True:
        try:
            assert post(server, "x")[0] == 200
            break
        except ConnectionRefusedError:
            refused += 1
            time.sleep(0.02)
    assert refused > 0


@pytest.mark.parametrize("name", ["silence", "hang"])
def test_a_silent_server_lets_a_client_wait(server, name):
    """Only a client's own patience ends it."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=0.3)
    with pytest.raises(TimeoutError):
        post(server, f"fault={name}", connection=connection)
    connection.close()


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("quota", 429, "insufficient_quota"),
        ("413", 413, "status 413"),
        ("echo", 400, "Bearer sk-canary"),
        ("html", 200, "<html>"),
        ("malformed", 200, "half an ans"),
        ("nobody", 200, ""),
        ("error-200:529", 200, '"code": 529'),
        ("length", 200, '"finish_reason": "length"'),
        ("refusal", 200, '"refusal": "I can'),
        ("moved", 200, '"model": "m-2099'),
        ("chunked", 200, "fault=chunked"),
        ("drip:0.01", 200, "fault=drip"),
        ("unheard-of", 418, "there is no fault"),
    ],
)
def test_a_fault_is_what_its_name_says(server, name, status, words):
    """Status and body are as the list says."""
    found, _, body = post(server, f"fault={name}", headers={"Authorization": "Bearer sk-canary"})
    assert found == status
    assert words in body


def test_a_redirect_leads_to_a_server_that_remembers(server):
    """Whoever follows it is found in the log."""
    status, headers, _ = post(server, "fault=redirect")
    assert status == 307
    connection = http.client.HTTPConnection(urlsplit(headers["location"]).netloc, timeout=5)
    assert post(server, "stolen", connection=connection)[0] == 200
    assert [entry["server"] for entry in server.requests()] == ["main", "elsewhere"]
    connection.close()


def test_a_key_has_so_many_requests_a_minute(server):
    """What is over is told to wait; who does not wait is counted, and another key has its own limit."""
    server.set_options(rpm=2, minute_s=1, retry_form="ms")
    keys = [{"Authorization": "a"}] * 3 + [{"Authorization": "b"}]
    answers = [post(server, "x", headers=key) for key in keys]
    assert [answer[0] for answer in answers] == [200, 200, 429, 200]
    assert 0 < int(answers[2][1]["retry-after-ms"]) <= 1001
    time.sleep(0.4)
    post(server, "too early", headers=keys[0])
    figures = server.state()["quotas"][hashlib.sha256(b"a").hexdigest()]
    assert (figures["admitted"], figures["limited"], figures["during_pause"]) == (2, 2, 1)


def test_a_key_may_be_required(server):
    """Any other is refused."""
    server.set_options(key="right")
    assert post(server, "x", headers={"Authorization": "Bearer wrong"})[0] == 401
    assert post(server, "x", headers={"Authorization": "Bearer right"})[0] == 200
