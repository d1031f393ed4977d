"""Metrics against cases worked by hand, against an independent library, and against the known traps."""

import unicodedata

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.metrics import METRICS, Measure, select_metrics
from orchestrator.metrics.normalise import NORM, NORM_CI
from orchestrator.metrics.tidy import tidy

LETTERS = st.text("abcdé иЙ.-12", max_size=30)


def measure(metric, text, *references):
    return METRICS[metric].measure(text, references)


def score(metric, text, *references):
    return measure(metric, text, *references).score


@pytest.mark.parametrize(
    ("text", "reference", "errors", "length"),
    [
        ("kitten", "sitting", 3, 7),
        ("", "abc", 3, 3),
        ("abc", "abc", 0, 3),
        ("ab", "abc", 1, 3),
        ("abcd", "abc", 1, 3),
        ("acb", "abc", 2, 3),
        ("IVANOV", "ИВАНОВ", 6, 6),
    ],
)
def test_cer_is_edits_over_reference_length(text, reference, errors, length):
    assert measure("cer", text, reference) == Measure(errors / length, errors, length)


@pytest.mark.parametrize(
    ("text", "reference", "errors", "words"),
    [
        ("the cat sat", "the cat sat", 0, 3),
        ("the cat", "the cat sat", 1, 3),
        ("the bat sat down", "the cat sat", 2, 3),
        ("sat, cat", "sat cat", 1, 2),
    ],
)
def test_wer_is_word_edits_over_reference_words(text, reference, errors, words):
    assert measure("wer", text, reference) == Measure(errors / words, errors, words)


@given(LETTERS, LETTERS.filter(tidy))
def test_cer_counts_what_jiwer_counts(text, reference):
    text, reference = tidy(text), tidy(reference)
    _, errors, length, _ = measure("cer", text, reference)
    assert errors / length == pytest.approx(jiwer.cer(reference, text))


@given(LETTERS, LETTERS.filter(tidy))
def test_wer_counts_what_jiwer_counts(text, reference):
    text, reference = tidy(text), tidy(reference)
    _, errors, words, _ = measure("wer", text, reference)
    assert errors / words == pytest.approx(jiwer.wer(reference, text))


def test_a_looping_answer_costs_one_and_its_errors_are_kept():
    assert measure("cer", "x" * 1000, "abcde") == Measure(1.0, 1000, 5)


@pytest.mark.parametrize("metric", ["cer", "cer_ci", "cer_span", "cer_span_ci", "wer"])
def test_an_empty_reference_wants_an_empty_answer(metric):
    assert measure(metric, " \n", "") == Measure(0.0, 0, 0)
    assert score(metric, "abc", "") == 1.0


def test_the_nearest_of_several_references_counts():
    assert measure("cer", "abcd", "xyz", "abce", "abcdefgh") == Measure(0.25, 1, 4)
    assert score("exact", "abcd", "xyz", "abcd") == 1.0
    assert score("wer", "one two", "three", "one two") == 0.0


def test_of_references_beyond_the_cap_the_one_with_the_lower_rate_counts():
    assert measure("cer", "abcdef", "x", "wxyz") == Measure(1.0, 6, 4)


@pytest.mark.parametrize("metric", ["exact", "exact_ci"])
@pytest.mark.parametrize("near", ["123", "0123", "00123.0", "00 123"])
def test_leading_zeros_are_part_of_an_answer(metric, near):
    assert score(metric, "00123", "00123") == 1.0
    assert score(metric, near, "00123") == 0.0


def test_composed_and_decomposed_letters_are_alike():
    decomposed = unicodedata.normalize("NFD", "Байкал")
    assert decomposed != "Байкал"
    assert measure("cer", decomposed, "Байкал") == measure("cer", "Байкал", decomposed) == Measure(0.0, 0, 6)


@pytest.mark.parametrize("space", ["\u00a0", "\u2009", "\u202f", "\u200b", "\ufeff", "\n", "\r\n", "\t", "   "])
def test_any_space_is_one_space(space):
    assert score("cer", f"1{space}000", "1 000") == 0.0


@pytest.mark.parametrize(
    "decorated", ["IVANOV.", '"IVANOV"', "**IVANOV**", "`IVANOV`", "«IVANOV».", ' "**IVANOV.**" ', "“IVANOV”"]
)
def test_outer_decoration_is_no_error(decorated):
    assert score("exact", decorated, "IVANOV") == 1.0


@pytest.mark.parametrize("inner", ["O'Brien", "a.b", "2*3", "(x)", "№ 5", "-1"])
def test_what_is_inside_stays(inner):
    assert tidy(inner) == inner


@pytest.mark.parametrize("bare", ["*", ".", '"', "***"])
def test_a_text_of_decoration_alone_is_kept(bare):
    assert tidy(f" {bare} ") == bare
    assert score("cer", "", bare) == 1.0


def test_case_counts_unless_the_metric_says_otherwise():
    assert score("cer", "Total", "TOTAL") == 0.8
    assert score("cer_span_ci", "see Total here", "TOTAL") == 0.0
    assert (score("cer_ci", "Total", "TOTAL"), score("exact_ci", "Straße", "STRASSE")) == (0.0, 1.0)
    assert score("exact", "Total", "TOTAL") == 0.0


def test_joiners_that_change_spelling_stay():
    assert tidy("\u0646\u0645\u06cc\u200c\u062e") == "\u0646\u0645\u06cc\u200c\u062e"


@given(st.text())
def test_a_normal_form_is_its_own_normal_form(text):
    assert tidy(tidy(text)) == tidy(text)
    assert NORM_CI.function(tidy(text)) == NORM_CI.function(text)


@given(st.text())
def test_texts_equal_to_a_reader_have_one_normal_form(text):
    assert tidy(unicodedata.normalize("NFD", text)) == tidy(text)
    assert tidy(f"\n {text}\u00a0") == tidy(text)


def test_normalisers_are_named_with_their_version():
    assert (NORM.label, NORM_CI.label) == ("norm_v1", "norm_v1+ci_v1")
    assert METRICS["cer"].normaliser is METRICS["exact"].normaliser is NORM


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("The surname is IVANOV", 0),
        ("IVANOV is the surname on this page", 0),
        ("The surname is IVAN0V, as printed", 1),
        ("IVANOV", 0),
        ("IVAN", 2),
        ("", 6),
    ],
)
def test_the_best_span_tells_verbose_from_unread(text, errors):
    assert measure("cer_span", text, "IVANOV") == Measure(errors / 6, errors, 6)


@given(LETTERS, LETTERS)
def test_the_best_span_is_never_worse_than_the_whole(text, reference):
    assert measure("cer_span", text, reference).errors <= measure("cer", text, reference).errors


@given(st.text("ab c", max_size=20), st.text("dé12", min_size=1, max_size=40), st.text("ab c", max_size=20))
def test_a_reference_inside_a_longer_answer_is_found(before, reference, after):
    assert score("cer_span", f"{before} {reference} {after}", reference) == 0.0


@given(LETTERS, st.lists(LETTERS, min_size=1, max_size=3))
def test_scores_lie_between_none_and_all(text, references):
    for metric in METRICS.values():
        if metric.needs_reference:
            measure = metric.measure(text, tuple(references))
            assert isinstance(measure, str) or 0.0 <= measure.score <= 1.0


def test_length_and_time_need_no_reference():
    assert METRICS["output_length"].measure(" Öl\n", ()) == Measure(4.0)
    assert METRICS["generation_time"].measure(0.25, ()) == Measure(0.25)


def test_every_metric_says_what_it_is():
    for name, metric in METRICS.items():
        assert (metric.name, metric.description != "", metric.unit != "") == (name, True, True)


def test_metrics_come_in_listing_order_and_an_unknown_one_names_the_nearest():
    assert [metric.name for metric in select_metrics(["wer", "exact"])] == ["exact", "wer"]
    assert select_metrics() == tuple(metric for metric in METRICS.values() if metric.is_default)
    with pytest.raises(UsageError, match=r"no metric 'cr'; did you mean 'cer'\?"):
        select_metrics(["cr"])
