"""What the runner `openai` makes of an endpoint's words, without an endpoint: faults, answers, sizes and prices."""

import base64
import importlib.util
import io
import json
import sys
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "runners" / "openai"
NOON = 1_790_000_000.0


def load_module(name):
    """Import one of the runner's modules that need no environment."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


faults, prices, sizes, replies = (load_module(name) for name in ("faults", "prices", "sizes", "replies"))


def classify(http_status, message="", code=None, headers=None, **more):
    error = {"message": message, "code": code, **more}
    return faults.classify(http_status, headers or {}, json.dumps({"error": error}).encode(), NOON)


@pytest.mark.parametrize(
    ("status", "message", "act", "kind"),
    [
        (400, "temperature is not supported", "fail", "bad_params"),
        (400, "This model's maximum context length is 8192 tokens", "fail", "bad_input"),
        (400, "prompt is too long: 250000 tokens > 200000 maximum", "fail", "bad_input"),
        (400, "image exceeds 5 MB maximum", "fail", "bad_input"),
        (400, "You uploaded an unsupported image. Please make sure your image is below 20 MB", "fail", "bad_input"),
        (400, "Could not process image", "fail", "bad_input"),
        (400, "unknown variant `image_url`, expected `text`", "fail", "bad_params"),
        (400, "this model does not support image input", "fail", "bad_params"),
        (400, "Your credit balance is too low to access the API", "stop", "bad_params"),
        (400, "triggering Azure OpenAI's content management policy", "fail", "refused"),
        (403, "the input requires moderation and was flagged", "fail", "refused"),
        (401, "Incorrect API key", "stop", "bad_params"),
        (403, "Country, region, or territory not supported", "stop", "bad_params"),
        (402, "Insufficient Balance", "stop", "bad_params"),
        (404, "The model does not exist", "stop", "bad_params"),
        (404, "No endpoints found that support image input", "fail", "bad_params"),
        (405, "", "stop", "bad_params"),
        (400, "API key not valid. Please pass a valid API key.", "stop", "bad_params"),
        (400, "unknown field image_detail", "fail", "bad_params"),
        (400, "Invalid value for 'image_url.detail': cannot be 'x'", "fail", "bad_params"),
        (400, "image_parse_error", "fail", "bad_input"),
        (
            429,
            "Request too large for gpt-4o: Limit 30000, Requested 45000.",
            "fail",
            "bad_input",
        ),
        (
            429,
            "Rate limit reached: Limit 30000, Used 29000, Requested 2000.",
            "limited",
            "rate_limited",
        ),
        (413, "", "fail", "bad_input"),
        (422, "field required", "fail", "bad_params"),
        (408, "", "retry", "transient"),
        (409, "", "retry", "transient"),
        (429, "Rate limit reached", "limited", "rate_limited"),
        (500, "", "retry", "transient"),
        (503, "", "retry", "transient"),
        (529, "Overloaded", "overloaded", "transient"),
        (301, "", "stop", "bad_params"),
    ],
)
def test_a_status_and_its_words_say_what_to_do(status, message, act, kind):
    fault = classify(status, message)
    assert (fault.act, fault.kind) == (act, kind)
    assert message[:20] in fault.sentence or 300 <= status < 400


def test_a_quota_that_is_spent_is_no_rate_limit():
    fault = classify(429, "You exceeded your current quota", "insufficient_quota", {"retry-after": "1"})
    assert (fault.act, fault.kind) == ("stop", "bad_params")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": formatdate(NOON + 20, usegmt=True)}, 20),
        ({"retry-after": formatdate(NOON + 20, usegmt=True), "date": formatdate(NOON + 15, usegmt=True)}, 5),
        ({"retry-after": formatdate(NOON + 9000, usegmt=True)}, 120),
        ({"retry-after": formatdate(NOON - 5, usegmt=True)}, None),
        ({"retry-after": "600"}, 600),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(headers, seconds):
    assert classify(429, headers=headers).retry_after_s == seconds


GEMINI = "You exceeded your current quota, please check your plan and billing details. Please retry in 34.07s."


def test_what_gemini_says_of_a_minutes_quota_is_no_end_and_of_a_days_quota_is():
    details = [{"violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]}]
    fault = classify(429, GEMINI, 429, status="RESOURCE_EXHAUSTED", details=[*details, {"retryDelay": "34.07s"}])
    assert (fault.act, fault.retry_after_s) == ("limited", 34.07)
    details[0]["violations"][0]["quotaId"] = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    fault = classify(429, GEMINI, 429, status="RESOURCE_EXHAUSTED", details=[*details, {"retryDelay": "34.07s"}])
    assert (fault.act, fault.kind) == ("stop", "rate_limited")
    assert "run again tomorrow" in fault.sentence


def test_gemini_says_in_the_body_how_long_to_wait_and_puts_it_in_a_list():
    details = [{"@type": "QuotaFailure"}, {"@type": "RetryInfo", "retryDelay": "34s"}]
    data = [{"error": {"code": 429, "message": "Resource exhausted", "details": details}}]
    fault = faults.classify(429, {}, json.dumps(data).encode())
    assert (fault.act, fault.retry_after_s) == ("limited", 34)
    assert "Resource exhausted" in fault.sentence


def test_an_endpoint_may_forbid_a_retry_or_ask_for_one():
    assert classify(503, headers={"x-should-retry": "false"}).act == "fail"
    assert classify(400, headers={"x-should-retry": "true"}).act == "retry"
    assert classify(401, headers={"x-should-retry": "true"}).act == "stop"
    assert classify(503, headers={"retry-after": "600"}).kind == "transient"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 502}, 502),
        ({"code": "429"}, 429),
        ({"code": "rate_limit_exceeded"}, 429),
        ({"code": None, "type": "insufficient_quota"}, 402),
        ({"status": "RESOURCE_EXHAUSTED"}, 429),
        ({"type": "overloaded_error"}, 529),
        ({"type": "invalid_request_error"}, 400),
        ({"type": "authentication_error"}, 401),
        ({"message": "?"}, 500),
        ("gone wrong", 500),
    ],
)
def test_an_error_object_stands_for_a_status(error, status):
    assert faults.find_status(error) == status


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b'"x"', b"7", b"\xff\xfe", b'{"error":7}', b'{"error":{"message":{"a":1}}}', b"[" * 100_000],
)
def test_no_body_is_too_odd_for_a_fault(data):
    assert faults.classify(500, {}, data).act == "retry"
    outcome = replies.read_reply(200, {}, data)
    assert outcome.act in ("malformed", "retry")
    assert outcome.sentence.isprintable()


def test_what_is_shown_of_a_body_is_its_first_200_characters_in_one_line():
    shown = faults.malformed("the answer is no JSON", b"<html>\r\n\x1b[31m" + b"x" * 1000).sentence
    assert shown.startswith("bad_response: the answer is no JSON; it begins: <html> [31mxxx")
    assert len(shown) <= len("bad_response: the answer is no JSON; it begins: ") + 200


def test_a_key_is_hidden_in_each_of_its_forms():
    key = "sk-ab/cd+ef=="
    said = b"sk-ab/cd+ef== sk-ab%2Fcd%2Bef%3D%3D " + base64.b64encode(key.encode()) + b" sk-ab\\/cd+ef=="
    assert b"sk-ab" not in faults.hide(said, key)
    assert base64.b64encode(key.encode()).rstrip(b"=") not in faults.hide(said, key)
    assert faults.hide(b"x marks the EMPTY spot", "x") == b"x marks the EMPTY spot"


def waits(fault, most=6):
    """Return what is waited after each attempt until there is no further one."""
    found, attempts = [], 0
    while len(found) < most:
        attempts += 1
        wait = faults.find_wait(fault, attempts, attempts, 0.5, 6)
        if wait is None:
            return found
        found.append(wait)
    return found


def test_backoff_doubles_with_full_jitter_and_ends_after_six_attempts():
    every = [waits(classify(503)) for _ in range(200)]
    assert {len(found) for found in every} == {5}
    for number, most in enumerate((0.5, 1, 2, 4, 8)):
        drawn = [found[number] for found in every]
        assert max(drawn) <= most
        assert max(drawn) > 0.8 * most
        assert min(drawn) < 0.2 * most


def test_a_429_without_a_time_is_waited_out_twice_as_long():
    assert 8 < max(max(waits(classify(429))) for _ in range(200)) <= 16


def test_a_time_that_was_told_is_kept_and_costs_no_attempt():
    drawn = [faults.find_wait(classify(429, headers={"retry-after": "10"}), 99, 0, 0.5, 6) for _ in range(200)]
    assert min(drawn) >= 10
    assert 10.5 < max(drawn) <= 11


def test_more_than_two_minutes_are_not_slept():
    assert waits(classify(429, headers={"retry-after": "121"})) == []


def test_a_body_without_an_answer_is_asked_for_twice_more():
    assert len(waits(faults.malformed("the answer is empty", b""))) == 2


def reply(finish="stop", model="m", usage=None, **message):
    choice = {"message": {"role": "assistant", **message}, "finish_reason": finish}
    said = {"choices": [choice], "model": model, "usage": usage}
    return replies.read_reply(200, {}, json.dumps(said).encode())


@pytest.mark.parametrize(
    ("finish", "stop_reason"),
    [
        ("stop", "stop"),
        ("end_turn", "stop"),
        ("length", "max_tokens"),
        ("MAX_TOKENS", "max_tokens"),
        ("content_filter", "content_filter"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("tool_calls", "unknown"),
        (None, "unknown"),
    ],
)
def test_why_an_answer_ends_is_said_in_our_words(finish, stop_reason):
    assert reply(finish, content="x").stop_reason == stop_reason


def test_a_refusal_is_an_answer_with_its_words():
    refused = reply(content=None, refusal="I can't help with that.")
    assert (refused.text, refused.stop_reason) == ("I can't help with that.", "content_filter")


def test_a_blocked_prompt_without_a_choice_is_a_refusal():
    data = json.dumps({"choices": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}).encode()
    assert replies.read_reply(200, {}, data).stop_reason == "content_filter"


def test_an_error_inside_a_choice_is_classified_as_its_status():
    data = json.dumps({"choices": [{"error": {"code": 502, "message": "upstream"}, "finish_reason": "error"}]}).encode()
    assert replies.read_reply(200, {}, data).act == "retry"


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["stop", "429"])
)
NAMES = st.sampled_from(["error", "code", "message", "details", "type", "text", "content", "refusal", "prompt_tokens"])
ANY = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner), max_leaves=6)
MESSAGE = ANY | st.fixed_dictionaries({"content": ANY, "refusal": ANY})
CHOICE = st.fixed_dictionaries({"message": MESSAGE, "finish_reason": ANY, "content_filter_results": ANY})
ANSWER = st.fixed_dictionaries({"choices": st.lists(CHOICE), "model": ANY, "usage": ANY, "promptFeedback": ANY})
WORDS = ANY | ANSWER | st.fixed_dictionaries({"error": ANY})


@settings(deadline=None)
@given(WORDS, st.sampled_from([200, 400, 403, 429, 500]))
@pytest.mark.slow
def test_whatever_json_an_endpoint_says_it_is_an_answer_or_a_fault(said, status):
    outcome = replies.read_reply(status, {}, json.dumps(said).encode())
    if isinstance(outcome, replies.Reply):
        assert isinstance(outcome.text, str)
        assert isinstance(prices.find_cost(outcome.usage, 1.0, 1.0, None), float | None)
    else:
        assert outcome.sentence.isprintable()


def test_a_text_in_parts_is_joined():
    assert reply(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]).text == "ab"


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [(1, 1), (640, 3), (1200, 900)])
def test_format_and_size_are_those_that_pillow_finds(name, size):
    sink = io.BytesIO()
    Image.new("RGB", size, "red").save(sink, name, **({"progressive": True} if name == "JPEG" else {}))
    mime = sizes.find_mime(sink.getvalue())
    assert mime == f"image/{name.lower()}"
    assert sizes.find_size(sink.getvalue(), mime) == size


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_size_of_a_cut_image_is_unknown_and_nothing_is_raised(name):
    sink = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(sink, name)
    for length in range(12, 300):
        data = sink.getvalue()[:length]
        assert sizes.find_size(data, f"image/{name.lower()}") in (None, (64, 48))


@pytest.mark.parametrize("name", ["BMP", "TIFF"])
def test_what_endpoints_do_not_read_has_no_type(name):
    sink = io.BytesIO()
    Image.new("RGB", (4, 4)).save(sink, name)
    assert sizes.find_mime(sink.getvalue()) is None


USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000}


@pytest.mark.parametrize(
    ("usage", "given", "cost"),
    [
        (USAGE, (2.5, 10.0, None), 3.5),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 400_000}}, (2.5, 10.0, 1.25), 3.0),
        ({**USAGE, "prompt_cache_hit_tokens": 400_000}, (2.5, 10.0, 1.25), 3.0),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 400_000}}, (2.5, 10.0, None), 3.5),
        ({**USAGE, "prompt_tokens_details": None}, (0.0, 0.0, None), 0.0),
        (USAGE, (2.5, None, None), None),
        ({**USAGE, "cost": 0.25}, (None, None, None), 0.25),
        ({}, (2.5, 10.0, None), None),
    ],
)
def test_the_cost_is_by_the_prices_per_million_tokens(usage, given, cost):
    assert prices.find_cost(usage, *given) == pytest.approx(cost)
