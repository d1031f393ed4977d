"""Extraction before scoring: what each step takes, and that what it cannot find is counted and not made up."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.metrics.extract import STEPS, make_extractor
from orchestrator.scoring import read_summary, score_run
from tests.scored_run import Asked, by_metric, make_run


def extract(text, *names):
    return make_extractor(names).function(text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>hm</think>\n\n12", "12"),
        ("<think>\nhm\n</think>12<think>is it?</think>", "12"),
        ("the prompt opened it</think>12", "12"),
        ("<THINK>hm</Think> 12", "12"),
        ("<thinking>hm</thinking>12", "12"),
        ("<think>hm, and then it was cut", None),
        ("12 <think>or perhaps", "12"),
        ("<think>hm</think>", ""),
        ("12", "12"),
        ("", ""),
        ("<think>a <think> b</think>12", "12"),
        ("<think>a</think>draft</think>12", "12"),
        ("well, <think>a</think>draft</think>12", "12"),
    ],
)
def test_thinking_is_stripped_closed_or_not(text, answer):
    assert extract(text, "think") == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('Here it is:\n```\n{"a": 1}\n```\nAnything else?', '{"a": 1}'),
        ('```json\n{"a": 1}', '{"a": 1}'),
        ('```json {"a": 1}```', '{"a": 1}'),
        ("```12 apples```", "12 apples"),
        ("```\r\n12\r\n```", "12"),
        ("```\ndraft\n```\nbetter:\n```\n12\n```", "12"),
        ("12", "12"),
        ("```", ""),
    ],
)
def test_a_fence_is_stripped_where_there_is_one(text, answer):
    assert extract(text, "fence") == answer


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("total", "12.50"),
        ("shop.name", "Чай"),
        ("items.1.name", "milk"),
        ("items.name", '["tea", "milk"]'),
        ("items", '[{"name": "tea", "n": 1e2}, {"name": "milk", "n": 2}]'),
        ("box", "[1, 2.50, 3, 4]"),
        ("paid", "true"),
        ("due", ""),
        ("a.b", "dotted"),
        ("missing", None),
        ("shop.missing", None),
        ("items.2", None),
        ("total.x", None),
        ("items.price", None),
    ],
)
def test_a_field_of_json_is_found_by_its_path(path, answer):
    text = """{"total": 12.50, "shop": {"name": "Чай"}, "items": [{"name": "tea", "n": 1e2}, {"name": "milk", "n": 2}],
        "box": [1, 2.50, 3, 4], "paid": true, "due": null, "a.b": "dotted"}"""
    assert extract(text, f"json:{path}") == answer


@pytest.mark.parametrize("text", ["", "total: 12", '{"total": 00123}', '["total"]', "12"])
def test_a_field_of_what_is_no_object_is_not_found(text):
    assert extract(text, "json:total") is None


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("answer", "so <answer> 12 </answer>.", "12"),
        ("answer", "<answer>1</answer> no, <answer>2</answer>", "2"),
        ("answer", "<Answer>12", "12"),
        ("answer", "12", None),
        ("answer", "12</answer>", None),
        ("last-line", "first\nlast \n\n", "last"),
        ("last-line", "a\u2028b", "a\u2028b"),
        ("last-line", "\n \n", None),
        ("boxed", r"so \boxed{1} or \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        ("boxed", r"\boxed{ a \} b }", r"a \} b"),
        ("boxed", r"\boxed{1", None),
        ("boxed", "12", None),
    ],
)
def test_the_last_one_marked_counts(name, text, answer):
    assert extract(text, name) == answer


def test_steps_follow_each_other_and_a_failure_ends_them():
    text = '<think>hm</think>\n```json\n{"total": 12.50}\n```'
    assert extract(text, "think", "fence", "json:total") == "12.50"
    assert extract(text, "json:total", "fence") is None
    assert make_extractor(["think", "json:total"]).label == "think_v1+json:total_v1"


@pytest.mark.parametrize(
    ("name", "known"), [("tink", "mean 'think'"), ("json", "known: answer, boxed,"), ("", "known: ")]
)
def test_an_unknown_step_is_told_with_the_nearest_or_all(name, known):
    with pytest.raises(UsageError, match=f"there is no extraction '{name}'; .*{known}"):
        make_extractor([name])


@settings(deadline=None)
@given(st.text('<>/thinkanswer`{}\\boxed \n"12', max_size=60))
def test_no_text_breaks_a_step(text):
    for name in (*STEPS, "json:a.0"):
        found = extract(text, name)
        assert found is None or isinstance(found, str)


@pytest.mark.slow
def test_a_looping_answer_is_read_in_linear_time():
    start = time.perf_counter()
    for loop in ("<think>", "</think>", "```", "<answer>", "\\boxed{", "\n", "[", '{"a":'):
        for name in (*STEPS, "json:a"):
            extract(loop * 100_000, name)
    assert time.perf_counter() - start < 5.0


def test_what_was_not_found_is_counted_and_what_was_declared_is_stored(tmp_path):
    answers = ['{"total": "12"}', "twelve", '```json\n{"total": "12"}\n```', "<refused>"]
    run = make_run(tmp_path, [Asked(["12"], [answer]) for answer in answers])
    summary = score_run(
        run, ["exact", "output_length", "json_valid"], extractor=make_extractor(["fence", "json:total"])
    )
    figures = by_metric(summary)
    assert (figures["exact"].mean, figures["exact"].n_scored) == (1.0, 2)
    assert figures["exact"].reasons == {"parse_fail": 1, "refused": 1}
    assert figures["output_length"].n_scored == 3
    assert (
        json.loads((run / "summary.json").read_text())["metric_notes"]["exact"]["extractor"] == "fence_v1+json:total_v1"
    )
    assert read_summary(run).metric_notes["output_length"].extractor is None
