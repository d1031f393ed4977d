"""No secret leaves a worker: each is known by its value in every form, and what is innocent stays."""

import base64
import itertools
import json
import sys
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.redaction import HELD_BYTES_MAX, RedactedStream, Redactor, is_secret_name, redact_patterns
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


def test_needless_escapes_hide_nothing():
    redactor = Redactor({"KEY": "abc/def=gh"})
    for line in (b'{"text":"abc\\/def=gh"}', b'{"text":"\\u0061bc/def\\u003dgh"}'):
        assert json.loads(redactor.redact_json(line)) == {"text": "[redacted:KEY]"}
    assert redactor.redact_json(b'{"text":"\\/') == b'{"text":"\\/'


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
    ],
)
def test_a_secret_is_known_by_a_word_of_its_name(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["TESSDATA_PREFIX", "MONKEY_PATH", "TOKENIZERS_PARALLELISM", "AUTHOR", "KEYBOARD", "HOME", ""]
)
def test_other_variables_are_none(name):
    assert not is_secret_name(name)
