"""Lines are cut at newlines alone, and what is not protocol 1 is refused in one sentence."""

import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol import (
    LINE_BYTES,
    Failure,
    LineSplitter,
    Loaded,
    ProtocolError,
    Response,
    Started,
    decode,
    encode,
    match_started,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def response(**changes):
    return {"type": "response", "id": "1", "text": "x", "latency_s": 0.5, **changes}


def line(**changes):
    return json.dumps(response(**changes)).encode()


@pytest.mark.slow
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_a_stream_is_cut_at_newlines_alone_however_it_arrives(data, cuts):
    splitter, lines = LineSplitter(), []
    ends = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(ends):
        lines += splitter.feed(data[start:end])
    assert lines == data.split(b"\n")[:-1]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\r"])
def test_other_line_separators_are_part_of_a_text(separator):
    sent = json.dumps(response(text=f"a{separator}b"), ensure_ascii=False).encode() + b"\n"
    (cut,) = LineSplitter().feed(sent)
    assert decode(cut).text == f"a{separator}b"


def test_a_line_as_long_as_allowed_passes_and_a_longer_one_does_not():
    assert LineSplitter().feed(b"x" * LINE_BYTES + b"\n") == [b"x" * LINE_BYTES]
    with pytest.raises(ProtocolError, match="a line is longer than 4194304 bytes"):
        LineSplitter().feed(b"x" * (LINE_BYTES + 1) + b"\n")


def test_a_line_that_never_ends_is_refused_when_it_outgrows_the_limit():
    splitter = LineSplitter()
    splitter.feed(b"x" * LINE_BYTES)
    with pytest.raises(ProtocolError):
        splitter.feed(b"x")


@given(st.text(), st.dictionaries(st.text(), JSON, max_size=4))
def test_a_response_comes_out_as_it_was_put_in(text, info):
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    message = decode(line(text=text, info=info))
    assert (message.text, message.info) == (text, info)


@given(JSON)
def test_what_we_send_is_one_line_of_ascii_json(prompt):
    sent = encode({"type": "request", "prompt": prompt})
    assert sent.isascii()
    assert sent.count(b"\n") == 1
    assert json.loads(sent)["prompt"] == prompt


@given(st.binary(max_size=80))
def test_any_bytes_are_a_message_or_a_protocol_error(data):
    with suppress(ProtocolError):
        decode(data)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_line_is_a_message_or_a_protocol_error(place, byte):
    whole = bytearray(line(info={"a": [1, 2.5, None, "ж"]}, input_tokens=3))
    whole[place % len(whole)] = byte
    with suppress(ProtocolError):
        decode(bytes(whole))


def test_half_surrogate_pairs_are_repaired_and_whole_ones_kept():
    message = decode(rb'{"type":"response","id":"1","latency_s":0,"text":"a\ud83d|\ude00|\ud83d\ude00"}')
    assert message.text == "a\ufffd|\ufffd|\U0001f600"


def test_unknown_fields_are_ignored():
    assert isinstance(decode(line(colour="red", usage={"x": 1})), Response)
    assert decode(b'{"type":"started","ids":["1"],"x":1}') == Started(type="started", ids=["1"])


def test_what_a_worker_may_leave_out_has_a_default():
    message = decode(line())
    assert (message.stop_reason, message.batch_size, message.input_tokens) == ("unknown", 1, None)
    assert (message.info, message.text_sha256) == (None, None)
    loaded = decode(b'{"type":"loaded"}')
    assert isinstance(loaded, Loaded)
    assert (loaded.batch_max, loaded.concurrency) == (1, 1)
    assert decode(b'{"type":"error","kind":"bug","message":"m"}') == Failure(type="error", kind="bug", message="m")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["latency_s", "info"])
def test_numbers_that_are_no_json_are_refused(field, number):
    value = number if field == "latency_s" else f'{{"a":[{number}]}}'
    sent = json.dumps(response(**{field: "HERE"})).replace('"HERE"', value).encode()
    with pytest.raises(ProtocolError):
        decode(sent)


def test_a_text_that_speaks_of_nan_is_a_text():
    assert decode(line(text="NaN, Infinity")).text == "NaN, Infinity"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"id": 1}, "response.id: Input should be a valid string"),
        ({"text": None}, "response.text: Input should be a valid string"),
        ({"stop_reason": "tired"}, "response.stop_reason: Input should be "),
        ({"input_tokens": -1}, "response.input_tokens: Input should be greater than or equal to 0"),
        ({"input_tokens": 2**63}, "response.input_tokens: Input should be less than or equal to"),
        ({"output_tokens": True}, "response.output_tokens: Input should be a valid integer"),
        ({"latency_s": -0.1}, "response.latency_s: "),
        ({"batch_size": 0}, "response.batch_size: "),
        ({"batch_size": 2**31}, "response.batch_size: "),
        ({"info": [1]}, "response.info: Input should be an object"),
        ({"text_sha256": "../../etc/passwd"}, "response.text_sha256: "),
        ({"type": "unheard_of"}, "message: Input tag 'unheard_of'"),
    ],
)
def test_a_wrong_value_is_named(changes, sentence):
    with pytest.raises(ProtocolError) as caught:
        decode(line(**changes))
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b'"x"', b"[]", b"\xff\xfe", b"{}{}", b"[" * 100_000, b'{"type":"log","message":NaN}'],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(ProtocolError):
        decode(data)


def test_deep_or_endless_values_are_refused():
    for info in ('{"a":' + "[" * 5000 + "]" * 5000 + "}", '{"a":' + "9" * 5000 + "}"):
        sent = json.dumps(response(info="HERE")).replace('"HERE"', info).encode()
        with pytest.raises(ProtocolError):
            decode(sent)


def test_a_request_too_long_for_a_line_is_refused():
    with pytest.raises(ProtocolError, match="longer than the 4194304 that a line may have"):
        encode({"type": "request", "prompt": "x" * LINE_BYTES})


@pytest.mark.parametrize(
    ("line", "identity"),
    [
        (b'{"type":"started","ids":["12"]}', "12"),
        (b'{"type":"started","ids":["12","13"]}', None),
        (b'{"type":"started","ids":["a\\"b"]}', None),
        (b'{"type":"started","ids":["12"]} ', None),
        (b'{"type":"started","ids":["\xd0\xb6"]}', None),
    ],
)
def test_the_short_way_takes_a_line_of_one_plain_id_and_leaves_the_rest_to_the_parser(line, identity):
    assert match_started(line) == identity
