"""No secret leaves a worker: each is known by its value in every form, and what is innocent stays."""

import base64
import itertools
import json
import sys
import time
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator import worker
from orchestrator.intake import MESSAGE_CHARS, make_redactor, read_message
from orchestrator.redaction import (
    HELD_BYTES_MAX,
    RedactedStream,
    Redactor,
    find_credentials,
    is_secret_name,
    redact_patterns,
)
from orchestrator.session import Session
from orchestrator.stderr_log import StderrLog
from tests.workers import ask, load, receive, send, spec_of

CANARY = 'cn-"7/ä\\+= &Zq%4mK9'
PLAIN = "cnry7A4mK9pQ2xV8"
ANSWERED = ("text", "base64", "basic", "bearer", "urlsafe", "quoted", "form", "json", "twice", "repr")
NOISY = ("print", "write", "burst", "puts", "logging", "environ")


def traces(secret):
    """Return what no artifact may hold, made in other ways than the redactor's own."""
    data = secret.encode()
    inner = [base64.b64encode(b"." * before + data + b"...")[4 * (before > 0) : -6] for before in range(3)]
    coded = [quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1], repr(data)[2:-1]]
    forms = [secret, *coded, json.dumps(json.dumps(secret)[1:-1])[1:-1]]
    return [
        data,
        *inner,
        *(each.translate(str.maketrans("+/", "-_")).encode() for each in map(bytes.decode, inner)),
    ] + [form.encode() for form in forms]


def assert_clean(artifact, secret):
    for trace in traces(secret):
        assert trace not in artifact, trace


@pytest.fixture(params=[CANARY, PLAIN], ids=["awkward", "plain"])
def canary(request, monkeypatch):
    monkeypatch.setenv("CANARY_API_KEY", request.param)
    monkeypatch.setenv("TESSDATA_PREFIX", "/usr/share/tessdata")
    return request.param


def test_the_specification_names_the_secrets_and_shows_none(workspace, canary):
    spec = spec_of(workspace, "leaky")
    assert spec.secrets == {"CANARY_API_KEY": canary}
    assert spec.environment["TESSDATA_PREFIX"] == "/usr/share/tessdata"
    assert_clean(repr(spec).encode(), canary)
    assert_clean(repr(Redactor(spec.secrets)).encode(), canary)


def test_nothing_that_a_session_tells_or_logs_holds_a_secret(workspace, canary):
    spec = spec_of(workspace, "leaky")
    with Session(spec) as session:
        load(session)
        answers = ask(session, *ANSWERED, *NOISY, "raise")
        send(session, "crash")
        (gone,) = receive(session)
    for name in ANSWERED:
        assert answers[name].text.startswith("before "), name
        assert answers[name].text.endswith(" after"), name
        assert "[redacted:CANARY_API_KEY]" in answers[name].text, name
        assert "[redacted:CANARY_API_KEY]" in answers[name].info
    assert answers["raise"].message == "ValueError: no such key: [redacted:CANARY_API_KEY]"
    assert 'raise ValueError(f"no such key: {KEY}")' in answers["raise"].traceback
    assert gone.reason.startswith("it crashed with SIGABRT; its last words: ")
    told = json.dumps([str(event) for event in (*answers.values(), gone)], ensure_ascii=False).encode()
    for artifact in (told, str([*answers.values(), gone]).encode(), spec.log.read_bytes()):
        assert_clean(artifact, canary)


def test_the_log_keeps_what_is_innocent(workspace, canary):
    spec = spec_of(workspace, "leaky")
    with Session(spec) as session:
        load(session)
        ask(session, *NOISY)
        list(session.close())  # what it still says is read to the end
    log = spec.log.read_text()
    for line in ("import", "load", "printed", "puts", "burst 0 "):
        assert f"{line} [redacted:CANARY_API_KEY]\n" in log
    assert "halves [redacted:CANARY_API_KEY] end of halves\n" in log
    assert f"burst 1999 {'x' * 19} [redacted:CANARY_API_KEY]\n" in log
    assert log.count("\nburst ") == 2000
    assert "'TESSDATA_PREFIX': '/usr/share/tessdata'" in log


@pytest.mark.parametrize("end", ["", " at https://host/model", " c"])
def test_last_words_are_told_whole_but_for_the_secret(workspace, canary, end):
    spec = spec_of(workspace, "leaky")
    words = f'import os; os.write(2, b"last words of " + os.environb[b"CANARY_API_KEY"] + b"{end}")'
    with Session(replace(spec, argv=(sys.executable, "-c", words))) as session:
        (gone,) = receive(session)
    assert gone.reason == f"it exited with status 0; its last words: last words of [redacted:CANARY_API_KEY]{end}"


def test_a_load_that_fails_tells_no_secret(workspace, canary):
    spec = spec_of(workspace, "leaky", {"fail": True})
    with Session(spec) as session:
        (gone,) = receive(session)
    assert gone.reason == "RuntimeError: 401 for [redacted:CANARY_API_KEY]"
    assert_clean(str(gone).encode(), canary)
    assert_clean(spec.log.read_bytes(), canary)


def fail(secret, text):
    """Return what is told, message and traceback, of a request that fails with `text`."""
    redactor = make_redactor({"CANARY_API_KEY": secret})
    failure = read_message(worker.error_line("a", ValueError(text)), redactor)
    return failure.message, failure.traceback


@pytest.mark.parametrize("secret", [PLAIN, CANARY.replace(" ", "-")])
@pytest.mark.parametrize("edge", [MESSAGE_CHARS, worker.MESSAGE_CHARS, 40_000])
def test_no_piece_of_a_secret_is_left_where_an_error_is_cut(secret, edge):
    pieces = [secret[start : start + 3] for start in range(len(secret) - 2)]
    for before in range(edge - 2 * len(secret), edge + 5):
        text = "." * before + secret
        for whole in (text, text + "." * 20_000, text + "." * (worker.TRACEBACK_CHARS - before % 40)):
            for told in fail(secret, whole):
                assert not [piece for piece in pieces if piece in told], before


def test_an_error_that_shrinks_below_its_cut_ends_without_the_beginning_of_a_secret():
    secret = PLAIN * 50
    for before in range(0, len(secret), 7):
        message, _ = fail(secret, "." * before + 25 * f"{secret} ")
        assert "[redacted:CANARY_API_KEY]" in message
        assert len(message) < MESSAGE_CHARS
        assert PLAIN[:3] not in message
        assert message.endswith("…")


def test_what_an_error_says_is_whole_where_nothing_is_cut():
    assert fail(PLAIN, "." * 1900 + PLAIN[:5])[0] == f"ValueError: {'.' * 1900}{PLAIN[:5]}"


PROXY = "http://alice:hunter2@proxy.example:8080"
SAYS = """
import os

def load(params):
    if params.get("fail"):
        generate(None, None)

def generate(state, request):
    raise ConnectionError(f"cannot connect to proxy {os.environ.get('HTTPS_PROXY')} with Bearer abcdefgh12345678")
"""


def test_what_looks_like_a_secret_is_taken_from_errors(workspace, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", PROXY.replace("alice", "al"))  # too short to be known by its value
    (workspace.root / "runners" / "echo" / "runner.py").write_text(SAYS)
    with Session(spec_of(workspace, "echo")) as session:
        load(session)
        failure = ask(session, "a")["a"]
    with Session(spec_of(workspace, "echo", {"fail": True})) as session:
        (gone,) = receive(session)
    for text in (failure.message, failure.traceback, str(gone)):
        assert "@proxy.example:8080 with Bearer [redacted:bearer]" in text
        assert "hunter2" not in text


def test_what_looks_like_a_secret_is_taken_from_news(workspace):
    news = {"type": "progress", "phase": f"through {PROXY}"}, {"type": "log", "message": f"through {PROXY}"}
    lines = [*map(json.dumps, news), '{"type":"loaded"}']
    spec, told = spec_of(workspace, "garbage"), []
    with Session(replace(spec, argv=(*spec.argv, json.dumps({"loaded": lines}))), notify=told.append) as session:
        load(session)
    assert told == ["garbage: through http://[redacted:credentials]@proxy.example:8080"]
    assert "[info] through http://[redacted:credentials]@proxy.example:8080\n" in spec.log.read_text()


def test_user_and_password_of_a_proxy_are_secrets(workspace, monkeypatch):
    monkeypatch.setenv("https_proxy", "alice:hunter2-and-more@proxy.example:8080")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:8080")
    secrets = spec_of(workspace, "leaky").secrets
    assert secrets == {
        "https_proxy credentials": "alice:hunter2-and-more",
        "https_proxy password": "hunter2-and-more",
    }
    told = Redactor(secrets).redact(b"alice:hunter2-and-more, hunter2-and-more")
    assert told == b"[redacted:https_proxy_credentials], [redacted:https_proxy_password]"


def test_user_and_password_of_a_url_are_secrets(workspace, monkeypatch):
    monkeypatch.setenv("TESSDATA_PREFIX", "postgres://me:pa%2Fss-word@host/db")
    secrets = spec_of(workspace, "leaky").secrets
    assert secrets == {"TESSDATA_PREFIX credentials": "me:pa%2Fss-word", "TESSDATA_PREFIX password": "pa/ss-word"}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("mongodb+srv://u:p@a,b/db?x=y@z", ["u:p", "p"]),
        ("redis://:pass@host", [":pass", "pass"]),
        ("http://u:p@ss@host", ["u:p@ss", "p@ss"]),
        ("postgres://postgres:postgres@host", ["postgres:postgres"]),
        ("https://host:80/a@b", []),
        ("https://user@host", []),
        ("/usr/lib:a@b", []),
        ("", []),
    ],
)
def test_the_credentials_of_a_url_are_found(value, found):
    assert list(find_credentials("X", value).values()) == found


def test_noise_before_the_hello_tells_no_secret(workspace, canary):
    spec = spec_of(workspace, "leaky")
    launcher = workspace.root / "launcher.sh"
    launcher.write_text('#!/bin/sh\necho "launching with $CANARY_API_KEY"\nexec "$@"\n')
    launcher.chmod(0o755)
    with Session(replace(spec, argv=(str(launcher), *spec.argv))) as session:
        load(session)
    assert "launching with [redacted:CANARY_API_KEY]\n" in spec.log.read_text()


def test_a_spilled_text_can_be_redacted_by_whoever_reads_it(workspace, canary):
    with Session(spec_of(workspace, "leaky")) as session:
        load(session)
        answer = ask(session, "spilled")["spilled"]
        spilled = session.spec.spill / f"spilled-{answer.text_sha256}.txt"
        text = session.redactor.redact(spilled.read_bytes())
    assert_clean(text, canary)
    assert text.endswith(b"long [redacted:CANARY_API_KEY] end of long after")


SECRETS = st.text(min_size=8, max_size=40).filter(lambda text: len(text.strip()) >= 8)


@given(SECRETS, st.text(), st.text(), st.lists(st.integers(0, 150)))
def test_however_a_stream_is_cut_no_secret_passes_and_all_else_does(secret, before, after, cuts):
    redactor = Redactor({"KEY": secret})
    wanted = f"{before}\n[redacted:KEY]\n{after}"
    data = f"{before}\n{secret}\n{after}".encode()
    assume(redactor.redact(data) == wanted.encode() and redact_patterns(wanted) == wanted)
    stream, marks = RedactedStream(redactor), [0, *sorted(cuts), len(data)]
    pieces = [stream.feed(data[start:end]) for start, end in itertools.pairwise(marks)]
    assert b"".join([*pieces, stream.finish()]) == wanted.encode()


@given(SECRETS, st.text(), st.booleans(), st.booleans())
def test_a_line_of_json_stays_json_and_holds_no_secret(secret, around, is_ascii, is_nested):
    assume(secret.strip() not in around)
    inner = json.dumps({"key": secret}) if is_nested else secret
    line = json.dumps({"text": f"{around} {inner} {around}"}, ensure_ascii=is_ascii).encode()
    text = json.loads(Redactor({"KEY": secret}).redact_json(line))["text"]
    assert secret not in text
    assert "[redacted:KEY]" in text


NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text()


def nest(leaves):
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def walk(value):
    """Yield every string, key and number of a JSON value as text."""
    if isinstance(value, dict | list):
        for inner in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from walk(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


@pytest.mark.slow
@given(SECRETS | st.integers(10**7, 10**9).map(str), st.data(), st.booleans())
def test_nested_json_stays_json_and_holds_no_secret(secret, data, is_ascii):
    around = st.tuples(st.text(max_size=3), st.just(secret), st.text(max_size=3)).map("".join)
    number = [st.just(int(secret))] if secret.isascii() and secret.isdigit() and secret[0] != "0" else []
    value = data.draw(nest(st.one_of(LEAVES, around, *number)))
    line = json.dumps({"info": value, secret: 1}, ensure_ascii=is_ascii).encode()
    redactor = Redactor({"KEY": secret})
    redacted = json.loads(redactor.redact_json(line))
    assert "[redacted:KEY]" in redacted
    assert not [text for text in walk(redacted) if secret in text]


@given(nest(LEAVES))
def test_json_without_a_secret_stays_as_it_is(value):
    redactor = Redactor({"KEY": PLAIN})
    line = json.dumps({"info": value, "text": "\\/"}).encode()
    assert redactor.redact_json(line) == line
    with_secret = json.dumps({"info": value, "text": PLAIN}).encode()
    assert json.loads(redactor.redact_json(with_secret)) == {"info": value, "text": "[redacted:KEY]"}


def test_beside_a_secret_all_else_stays_as_it_is_written():
    line = b'{"a":"SECRET","b":"\\ud83d \\/","c":%b,"d":1e400,"e":NaN,"f":%b1%b}'
    line %= (b"9" * 5000, b"[" * 900, b"]" * 900)
    redactor = Redactor({"KEY": PLAIN})
    assert redactor.redact_json(line.replace(b"SECRET", PLAIN.encode())) == line.replace(b"SECRET", b"[redacted:KEY]")


@pytest.mark.parametrize("line", [b'{"a":"%b', b'{"a":"\\x%b"}', b'"\xff%b"', b"%b"])
def test_a_line_that_is_no_json_stays_for_the_decoder_to_refuse(line):
    line %= PLAIN.encode()
    assert Redactor({"KEY": PLAIN}).redact_json(line) == line


def test_a_number_that_is_a_secret_becomes_a_text(workspace, monkeypatch):
    monkeypatch.setenv("CANARY_API_KEY", "20240101")
    answer = {"type": "response", "id": "ID", "text": "on 20240101", "latency_s": 0, "info": {"date": 20240101}}
    spec = spec_of(workspace, "leaky")
    argv = (*spec_of(workspace, "garbage").argv, json.dumps({"answers": [json.dumps(answer)]}))
    with Session(replace(spec, argv=argv)) as session:
        load(session)
        told = ask(session, "a")["a"]
    assert (told.text, told.info) == ("on [redacted:CANARY_API_KEY]", {"date": "[redacted:CANARY_API_KEY]"})


def test_a_secret_that_is_a_word_of_the_wire_does_not_cut_it(workspace, monkeypatch):
    monkeypatch.setenv("CANARY_API_KEY", "response")
    with Session(spec_of(workspace, "leaky")) as session:
        load(session)
        assert ask(session, "text")["text"].text == "before [redacted:CANARY_API_KEY] after"


def test_needless_escapes_hide_nothing():
    redactor = Redactor({"KEY": "abc/def=gh"})
    for line in (b'{"text":"abc\\/def=gh"}', b'{"text":"\\u0061bc/def\\u003dgh"}'):
        assert json.loads(redactor.redact_json(line)) == {"text": "[redacted:KEY]"}
    assert redactor.redact_json(b'{"text":"\\/') == b'{"text":"\\/'
    for secret, line in (("gr\xfc\xdfe-an-alle", b'"gr\\u00FC\\u00DFe-an-alle"'), ("two\nlines", b'"two\\u000alines"')):
        assert Redactor({"KEY": secret}).redact_json(line) == b'"[redacted:KEY]"'


def test_keys_without_end_are_looked_through_in_little_time():
    start = time.monotonic()
    redact_patterns("sk-" * 100_000)
    assert time.monotonic() - start < 3


def test_of_two_secrets_that_begin_alike_neither_leaves_a_rest():
    short, long = "abcdefgh", "abcdefgh-and-more"
    redactor = Redactor({"SHORT_KEY": short, "LONG_KEY": long})
    assert redactor.redact(f"{long} {short}".encode()) == b"[redacted:LONG_KEY] [redacted:SHORT_KEY]"
    stream = RedactedStream(redactor)
    told = [stream.feed(b"x abcdefgh"), stream.feed(b"-and-mo"), stream.feed(b"re abcdefgh"), stream.finish()]
    assert told == [b"x ", b"", b"[redacted:LONG_KEY] ", b"[redacted:SHORT_KEY]"]


def test_a_short_or_absent_secret_changes_nothing():
    for secrets in ({}, {"API_KEY": ""}, {"API_KEY": "seven77"}):
        data = b"all of seven77"
        assert Redactor(secrets).redact(data) is data
        assert Redactor(secrets).redact_json(data) is data


def test_a_secret_is_known_without_the_white_space_around_it():
    assert Redactor({"KEY": "12345678\n"}).redact(b"<12345678>") == b"<[redacted:KEY]>"


def test_a_stream_tells_at_once_what_is_innocent():
    stream = RedactedStream(Redactor({"KEY": "secret-of-mine"}))
    assert stream.feed(b"loading 12 %") == b"loading 12 %"
    assert stream.feed(b" of sec") == b" of "
    assert stream.feed(b"ond") == b"second"
    assert stream.finish() == b""


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("GET https://me:pa55@host/x 200", "GET https://[redacted:credentials]@host/x 200"),
        ("GET https://host:80/a@b", "GET https://host:80/a@b"),
        ("Authorization: Bearer abc.def-123456", "Authorization: Bearer [redacted:bearer]"),
        ("key=sk-proj-0123456789abcdef.", "key=[redacted:key]."),
        ("hf_AbCdEfGh1234567890 is used", "[redacted:key] is used"),
        ("task-01234567890123456789 and sk-learn-like-estimators", None),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb", "a\n[redacted:private key]\nb"),
        ("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----", None),
    ],
)
def test_what_looks_like_a_secret_is_taken_from_the_log(text, redacted):
    assert redact_patterns(text) == (redacted or text)
    stream = RedactedStream(Redactor({}))
    cut = len(text) * 2 // 3
    pieces = [stream.feed(text[:cut].encode()), stream.feed(text[cut:].encode() + b"\n"), stream.finish()]
    assert b"".join(pieces).decode() == f"{redacted or text}\n"


def test_a_line_that_never_ends_is_not_held_back_for_ever():
    stream = RedactedStream(Redactor({}))
    told = b"".join(stream.feed(b"https://host/ " * 100) for _ in range(20))
    assert len(told) + HELD_BYTES_MAX >= 20 * 1400
    assert told + stream.finish() == b"https://host/ " * 2000


def test_the_log_keeps_every_other_byte(tmp_path):
    data = bytes(range(256)) * 4 + b"\xff\xfe sk-0123456789abcdefgh \x80\n"
    with StderrLog(tmp_path / "log", Redactor({})) as log:
        log.write(data)
    kept = (tmp_path / "log").read_bytes().split(b"UTC\n", 1)[1]
    assert kept == data.replace(b"sk-0123456789abcdefgh", b"[redacted:key]")


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY",
        "HF_TOKEN",
        "my_secret",
        "DB_PASSWORD",
        "PASSWD",
        "AWS_CREDENTIALS",
        "PROXY_AUTH",
        "apiKey",
        "APIKEY",
        *("PGPASSWORD", "HFTOKEN", "APITOKEN", "SECRETKEY", "ACCESSKEY", "PRIVATEKEY", "GITHUB_PAT", "PASSPHRASE"),
        *("SSH_PASSPHRASE", "SENTRY_DSN", "MYSQL_PWD", "DB_PASS", "GOOGLE_OAUTH", "apitoken", "githubToken", "KEYS"),
    ],
)
def test_a_secret_is_known_by_a_word_of_its_name(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("TESSDATA_PREFIX", "MONKEY_PATH", "TOKENIZERS_PARALLELISM", "AUTHOR", "KEYBOARD", "HOME", ""),
        *("PWD", "OLDPWD", "PATH", "PATTERN", "BYPASS_CACHE", "COMPASS", "TURKEY"),
    ],
)
def test_other_variables_are_none(name):
    assert not is_secret_name(name)
