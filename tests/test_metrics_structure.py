"""Metrics of structured answers: cases worked by hand, independent libraries, and what cannot be told."""

import json
import random
import time
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from anls_star import anls_score
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.metrics import METRICS, Measure, get_metric
from orchestrator.metrics.anls_star import assign, compare
from orchestrator.metrics.dates import ORDERS, read_date
from orchestrator.metrics.json_text import read_json
from orchestrator.metrics.metric import gather
from orchestrator.metrics.numbers import CONVENTIONS, read_number
from orchestrator.scoring import score_run
from tests.scored_run import Asked, by_metric, make_run

PARTS = ("a", "ab", "total", "TOTAL 1", "12.50", "00123", None, "", "Байкал", "baikal lake", "NFD é")


def measure(name, text, *references):
    return get_metric(name).measure(text, tuple(one if isinstance(one, str) else json.dumps(one) for one in references))


def score(name, text, *references):
    found = measure(name, text if isinstance(text, str) else json.dumps(text), *references)
    return found if isinstance(found, str) else found.score


def draw(choose, depth):
    kind = choose.random()
    if depth == 0 or kind < 0.5:
        return choose.choice(PARTS)
    if kind < 0.75:
        return [draw(choose, depth - 1) for _ in range(choose.randint(0, 3))]
    return {choose.choice("abcd"): draw(choose, depth - 1) for _ in range(choose.randint(0, 3))}


def test_anls_star_is_what_its_authors_code_says():
    choose = random.Random(1)
    for _ in range(3000):
        expected, answer = draw(choose, 3), draw(choose, 3)
        if isinstance(expected, list) and isinstance(answer, str):
            continue  # theirs takes the list for alternatives then; ours are the references
        total, count = compare(expected, answer)
        assert (total / count if count else 1.0) == pytest.approx(anls_score(expected, answer)), (expected, answer)


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("The surname is IVANOV", "IVANOV", 0.0),
        ("IVANOV", "ivanov", 1.0),
        ("IVAN OV", "IVANOV", 1 - 1 / 7),
        ("  a \n b", "a b", 1.0),
        ("00123", "123", 0.6),
        (["b", "a"], ["a", "b"], 1.0),
        (["a"], ["a", "b"], 0.5),
        (["a", "b", "c"], ["a", "b"], 2 / 3),
        ({"total": "12.50"}, {"total": "12.50", "date": "x"}, 0.5),
        ({"total": "12.50", "more": "x"}, {"total": "12.50"}, 0.5),
        ({"items": [{"n": "tea"}, {"n": "milk"}]}, {"items": [{"n": "milk"}, {"n": "tea"}]}, 1.0),
        ("no JSON", {"a": "b"}, 0.0),
        ('{"a": 12.50}', '{"a": "12.50"}', 1.0),
        ('{"a": 12.5}', '{"a": "12.50"}', 0.8),
    ],
)
def test_anls_star_by_hand(answer, expected, right):
    assert score("anls_star", answer, expected) == pytest.approx(right)


def test_anls_star_takes_the_best_of_several_references():
    assert score("anls_star", ["a", "b"], ["x"], ["b", "a"]) == 1.0


def test_anls_star_of_long_texts_costs_no_second():
    start = time.perf_counter()
    score("anls_star", "x" * 2000, "x" * 1000 + "y" * 1000)
    score("anls_star", [f"item {n}" for n in range(300)], [f"item {2 * n}" for n in range(100)])
    assert time.perf_counter() - start < 2.0


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 4), st.randoms(use_true_random=False), st.booleans())
def test_the_assignment_costs_what_scipys_does(rows, more, choose, is_coarse):
    costs = np.array(
        [[choose.randint(0, 2) if is_coarse else choose.random() for _ in range(rows + more)] for _ in range(rows)]
    )
    pairs = assign(costs.astype(float))
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == rows
    assert sum(costs[pair] for pair in pairs) == pytest.approx(
        costs[pytest.importorskip("scipy.optimize").linear_sum_assignment(costs)].sum()
    )


@pytest.mark.parametrize("text", ["00123", "{'a': 1}", "[NaN]", '{"a": 1,}', "", "[" * 100_000, "[" * 40 + "]" * 40])
def test_what_is_no_json_is_not_read_as_some(text):
    with pytest.raises(ValueError):
        read_json(text)
    assert score("json_valid", text) == 0.0


def test_json_keeps_numbers_as_they_are_written():
    assert read_json('{"a": 12.50, "b": [1e3, true, null]}') == {"a": "12.50", "b": ["1e3", "true", None]}


@pytest.mark.parametrize(
    ("answer", "expected", "hits", "errors"),
    [
        ({"a": "1", "b": "2"}, {"a": "1", "b": "2"}, 2, 0),
        ({"a": "1"}, {"a": "1", "b": "2"}, 1, 1),
        ({"a": "1", "b": "3"}, {"a": "1", "b": "2"}, 1, 2),
        ({"a": "1", "c": "3"}, {"a": "1"}, 1, 1),
        ({"a": None, "b": ""}, {"b": None, "c": []}, 0, 0),
        ({"a": 'IVANOV."'}, {"a": "IVANOV"}, 1, 0),
        ({"a": "ivanov"}, {"a": "IVANOV"}, 0, 2),
        ({"a": 12.5}, {"a": "12.5"}, 1, 0),
        ({"n": "00123"}, {"n": "123"}, 0, 2),
        ({"items": [{"n": "tea"}, {"n": "tea"}]}, {"items": [{"n": "tea"}, {"n": "milk"}]}, 1, 2),
        ({"items": ["b", "a"]}, {"items": ["a", "b"]}, 2, 0),
        ({"a": {"b": "1"}}, {"b": "1"}, 0, 2),
    ],
)
def test_fields_are_right_or_wrong(answer, expected, hits, errors):
    weight = 2 * hits + errors
    assert measure("field_f1", json.dumps(answer), expected) == Measure(
        1 - errors / weight if weight else 1.0, errors, weight
    )


def test_fields_are_compared_after_the_steps_behind_the_name():
    assert score("field_f1@ci", {"a": "ivanov"}, {"a": "IVANOV"}) == 1.0
    assert get_metric("field_f1@ci").normaliser.label == "json.norm_v1+json.ci_v1"
    assert score("field_f1@raw", {"a": " x"}, {"a": "x"}) == 0.0
    with pytest.raises(UsageError, match="no normaliser 'cj'"):
        get_metric("field_f1@cj")


def test_missing_and_invented_fields_are_told_apart_whatever_their_value():
    answer, expected = {"a": "wrong", "x": "1", "y": "2"}, {"a": "1", "b": "2"}
    assert measure("field_missing", json.dumps(answer), expected) == Measure(0.5, 1, 2)
    assert measure("field_invented", json.dumps(answer), expected) == Measure(2 / 3, 2, 3)


@pytest.mark.parametrize("name", ["field_f1", "field_missing", "field_invented"])
def test_no_json_is_a_reason_and_not_a_wrong_answer(name):
    assert measure(name, "total: 12", {"total": "12"}) == "invalid_json"
    assert measure(name, '["12"]', {"total": "12"}) == "no_object"
    assert measure(name, "{}", "not JSON") == "unreadable_reference"


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("1,234", {"point": "1234", "comma": "1.234"}),
        ("1234", {"point": "1234", "comma": "1234"}),
        ("1.234,56", {"comma": "1234.56"}),
        ("1,234.56", {"point": "1234.56"}),
        ("€ 1\u00a0234,50", {"comma": "1234.50"}),
        ("1'234.5", {"point": "1234.5"}),
        ("1.234.567", {"comma": "1234567"}),
        ("0.123", {"point": "0.123"}),
        ("(12.50)", {"point": "-12.50"}),
        ("\u22125", {"point": "-5", "comma": "-5"}),
        ("$-5", {"point": "-5", "comma": "-5"}),
        ("5 \u0440\u0443\u0431.", {"point": "5", "comma": "5"}),
        ("12.50 EUR", {"point": "12.50"}),
        ("12 %", {"point": "12", "comma": "12"}),
        ("RM39.00", {"point": "39.00"}),
        ("RM 1,039.00", {"point": "1039.00"}),
        ("MYR 39.00", {"point": "39.00"}),
        ("39,00 SGD", {"comma": "39.00"}),
        ("S$39.00", {"point": "39.00"}),
        (".50", {"point": "0.50"}),
        (",5", {"comma": "0.5"}),
        ("-$.50", {"point": "-0.50"}),
        ("RM.50", {"point": "0.50"}),
        ("Rs.50", {"point": "50", "comma": "50"}),
        (".", {}),
        ("..5", {}),
        (".,5", {}),
        (".500.000", {}),
        ("00123", {"point": "123", "comma": "123"}),
        ("1,23,456", {}),
        ("1 23", {}),
        ("(12", {}),
        ("12 apples", {}),
        ("1e5", {}),
        ("", {}),
        ("9" * 100, {}),
    ],
)
def test_a_number_is_read_by_each_convention_that_allows_it(text, readings):
    read = read_number(text, conventions=tuple(CONVENTIONS))
    assert read == {name: Decimal(value) for name, value in readings.items()}


@settings(deadline=None)
@given(st.decimals(-(10**9), 10**9, places=2))
def test_a_number_is_equal_to_itself_however_it_is_written(number):
    points = f"{number:,}"
    commas = points.translate(str.maketrans(",.", ".,"))
    for text in (points, commas, f"{points} EUR", points.replace(",", "\u202f")):
        assert score("number", text, str(number)) == 1.0
    assert score("number", str(number + 1), str(number)) == 0.0


@pytest.mark.parametrize(
    ("name", "answer", "reference", "right"),
    [
        ("number", "1,234", "1234", "ambiguous"),
        ("number@point", "1,234", "1234", 1.0),
        ("number@comma", "1,234", "1234", 0.0),
        ("number", "1,234", "1,234", 1.0),
        ("number", "1.234,00", "1,234.00", 1.0),
        ("number", "about 12", "12", 0.0),
        ("number", "12", "twelve", "unreadable_reference"),
        ("date", "03/04/2025", "3 April 2025", "ambiguous"),
        ("date@dmy", "03/04/2025", "3 April 2025", 1.0),
        ("date@mdy", "03/04/2025", "3 April 2025", 0.0),
        ("date", "03.04.2025", "03/04/2025", 1.0),
        ("date", "13.04.2025", "2025-04-13", 1.0),
        ("date", "12.05.45", "1945-05-12", 0.0),
        ("date@dmy-1926", "12.05.45", "1945-05-12", 1.0),
        ("date", "in May", "2025-05-01", 0.0),
        ("date", "2025-05-01", "in May", "unreadable_reference"),
    ],
)
def test_what_is_ambiguous_is_declared_or_not_scored(name, answer, reference, right):
    assert score(name, answer, reference) == right


@pytest.mark.parametrize(
    "text",
    [
        *(
            "3 April 2025",
            "April 3rd, 2025",
            "3 апреля 2025",
            "3 апреля 2025 \u0433.",
            "03-APR-25",
            "3\u00a0April\n2025",
        ),
        *("2025-4-3", "2025.04.03", "3. April 2025", "3 avril 2025", "2025 Apr 3", "3rd of April 25"),
        *("20250403", "3 апр. 2025", "3 Apr. 2025", "3-avr.-2025"),
    ],
)
def test_one_date_is_read_from_its_many_forms(text):
    assert read_date(text, orders=ORDERS) == dict.fromkeys(ORDERS, date(2025, 4, 3))


@pytest.mark.parametrize("text", ["31.02.2024", "3/4/1", "13/13/2024", "3 Foo 2024", "20241301", "2024", "", "3" * 100])
def test_what_is_no_date_is_not_read_as_one(text):
    assert read_date(text, orders=ORDERS) == {}


@pytest.mark.parametrize("word", ["decay", "junk", "mark", "marble", "mayor", "augment", "sepia", "янтарь", "ma"])
def test_a_word_that_begins_as_a_month_does_is_none(word):
    for text in (f"2 {word} 2018", f"{word} 2, 2018", f"2018 {word} 2"):
        assert read_date(text, orders=ORDERS) == {}


@pytest.mark.parametrize(
    ("name", "month"),
    [
        *(("märz", 3), ("mars", 3), ("марта", 3), ("Mrz", 3), ("мая", 5), ("mai", 5), ("June", 6), ("juin", 6)),
        *(("juillet", 7), ("août", 8), ("aou\u0302t", 8), ("Sept", 9), ("сентября", 9), ("Dez", 12), ("декабря", 12)),
    ],
)
def test_a_month_is_known_by_its_name_whole_or_abbreviated(name, month):
    assert read_date(f"2 {name} 2018", orders=ORDERS) == dict.fromkeys(ORDERS, date(2018, month, 2))


@pytest.mark.parametrize("name", ["number@dot", "date@ymd", "date@dmy-19", "date@dmy-x"])
def test_an_unknown_convention_is_told_with_those_that_there_are(name):
    with pytest.raises(UsageError, match=r"there is no metric '(number|date)@.*write"):
        get_metric(name)


TAGS = st.lists(st.sampled_from(["red", "green", "blue", "grey"]), max_size=4)


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=6))
def test_tags_are_counted_as_sklearn_counts_them(pairs):
    names = ["red", "green", "blue", "grey"]
    answers, references = (
        np.array([[name in tags for name in names] for tags in side]) for side in zip(*pairs, strict=True)
    )
    expected = pytest.importorskip("sklearn.metrics").precision_recall_fscore_support(
        references, answers, average="micro", zero_division=np.nan
    )
    for name, right in zip(("tag_precision", "tag_recall", "tag_f1"), expected, strict=False):
        measures = gather([measure(name, json.dumps(one), other) for one, other in pairs])
        weight, errors = measures.weights.sum(), measures.errors.sum()
        pooled = np.nan if weight == 0 else 1 - errors / weight if name == "tag_f1" else errors / weight
        assert pooled == pytest.approx(right, nan_ok=True)
    each = pytest.importorskip("sklearn.metrics").f1_score(references, answers, average="samples", zero_division=1.0)
    assert np.mean([score("tag_f1", one, other) for one, other in pairs]) == pytest.approx(each)


@pytest.mark.parametrize(
    ("name", "answer", "reference", "right"),
    [
        ("tag_f1", '["Red", "green"]', '["red", "green"]', 1.0),
        ("tag_f1", '["red", "red"]', '["red", "green"]', 2 / 3),
        ("tag_precision", '["red", "x"]', '["red", "green", "blue"]', 0.5),
        ("tag_recall", '["red", "x"]', '["red", "green", "blue"]', 1 / 3),
        ("tag_precision", "[]", "[]", 1.0),
        ("tag_precision", "[]", '["red"]', 0.0),
        ("tag_recall", "[]", "[]", 1.0),
        ("tag_recall", '["red"]', "[]", 0.0),
        ("tag_f1", "red, green", '["red"]', "invalid_json"),
        ("tag_f1", '{"a": 1}', '["red"]', "no_list"),
        ("tag_f1", '["red"]', "red", "unreadable_reference"),
        ("tag_f1@comma", "red; green\n blue,", "Blue, red, green", 1.0),
        ("tag_f1@comma+yo", "зелёный", "зеленый", 1.0),
        ("tag_f1@comma", "", "red", 0.0),
    ],
)
def test_tags_by_hand(name, answer, reference, right):
    found = measure(name, answer, reference)
    assert (found if isinstance(found, str) else found.score) == pytest.approx(right)


def test_classes_are_judged_as_sklearn_judges_them(tmp_path):
    choose = random.Random(2)
    expected = [choose.choice(["invoice", "receipt", "letter"]) for _ in range(60)]
    answers = [choose.choice([right, right, "invoice", "no idea"]) for right in expected]
    run = make_run(
        tmp_path, [Asked([right], [answer.upper()]) for right, answer in zip(expected, answers, strict=True)]
    )
    figure = by_metric(score_run(run, ["accuracy"]))["accuracy"]
    classes = sorted(set(expected))
    assert figure.mean == pytest.approx(pytest.importorskip("sklearn.metrics").accuracy_score(expected, answers))
    assert figure.corpus == pytest.approx(
        pytest.importorskip("sklearn.metrics").f1_score(expected, answers, average="macro", labels=classes)
    )


def test_the_pooled_f1_of_fields_is_in_the_summary_and_invalid_json_beside_it(tmp_path):
    asked = [
        Asked(['{"a": "1", "b": "2"}'], ['{"a": "1", "b": "2"}']),
        Asked(['{"a": "1"}'], ['{"a": "2"}']),
        Asked(['{"a": "1"}'], ["a is 1"]),
    ]
    figures = by_metric(score_run(make_run(tmp_path, asked), ["field_f1", "json_valid"]))
    assert (figures["field_f1"].mean, figures["field_f1"].corpus) == (0.5, pytest.approx(4 / 6))
    assert (figures["field_f1"].n_scored, figures["field_f1"].reasons) == (2, {"invalid_json": 1})
    assert figures["json_valid"].mean == pytest.approx(2 / 3)


def test_how_asking_ended_is_counted_over_all_that_was_asked(tmp_path):
    answers = ["fine", "fine", "<refused>", "<timeout>", None]
    run = make_run(tmp_path, [Asked(["fine"], [answer]) for answer in answers])
    names = ["refusal_rate", "error_rate", "truncation_rate", "output_tokens", "cost"]
    figures = by_metric(score_run(run, names))
    assert (figures["refusal_rate"].mean, figures["refusal_rate"].reasons) == (0.25, {"missing": 1})
    assert (figures["error_rate"].mean, figures["error_rate"].n_scored) == (0.25, 4)
    assert figures["truncation_rate"].reasons == {"unknown": 2, "refused": 1, "timeout": 1, "missing": 1}
    assert figures["output_tokens"].mean is None
    assert figures["cost"].reasons == {"unknown": 4, "missing": 1}


@pytest.mark.parametrize(("reason", "right"), [("max_tokens", 1.0), ("stop", 0.0), ("unknown", "unknown")])
def test_a_cut_answer_is_one_that_ended_at_its_limit(reason, right):
    found = METRICS["truncation_rate"].measure(reason, ())
    assert (found if isinstance(found, str) else found.score) == right


def test_every_option_is_named_where_metrics_are_listed():
    for name in ("number", "date", "iou", "centre_in_box"):
        assert "(or @" in METRICS[name].description
