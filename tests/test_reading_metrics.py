"""Metrics of reading against cases worked by hand, independent libraries, and one by one against many at once."""

import string
import unicodedata

import anls_star
import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import dice
from sklearn.metrics import f1_score

from orchestrator.metrics import METRICS, Measure, get_metric
from orchestrator.metrics.metric import gather
from orchestrator.metrics.pairs import Pairs
from orchestrator.metrics.tidy import tidy
from orchestrator.metrics.words import squad_words
from orchestrator.scoring.macro_f1 import macro_f1

TEXTS = st.text("abcdé иЙ.-12", max_size=30)
SHORT = st.text("ab c.И", max_size=4)
FEW = settings(max_examples=30, deadline=None)
MANY = [name for name, metric in METRICS.items() if metric.many and metric.reads == "text"]


def measure(metric, text, *references):
    return get_metric(metric).measure(text, references)


def score(metric, text, *references):
    return measure(metric, text, *references).score


@pytest.mark.parametrize(
    ("text", "reference", "errors", "longer"),
    [("kitten", "sitting", 3, 7), ("", "abc", 3, 3), ("abc", "", 3, 3), ("abcdef", "abc", 3, 6), ("a", "b", 1, 1)],
)
def test_ned_is_edits_over_the_longer_of_both(text, reference, errors, longer):
    assert measure("ned", text, reference) == Measure(errors / longer, errors, longer)


def test_ned_of_nothing_and_nothing_is_no_distance():
    assert measure("ned", "", "") == Measure(0.0, 0, 0)


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("kitten", "sitting", 4 / 7),
        ("The surname is IVANOV", "IVANOV", 0.0),
        ("IVANOV", "ivanov", 1.0),
        ("ab", "ac", 0.5),
        ("abc", "axy", 0.0),
        ("a\u00a0 b\n", "a b", 1.0),
        ("", "", 1.0),
        ("abc", "", 0.0),
        ('"ab"', "ab", 0.5),
    ],
)
def test_anls_drops_what_is_less_than_half_right(text, reference, expected):
    assert score("anls", text, reference) == pytest.approx(expected)


@FEW
@given(TEXTS, st.lists(TEXTS.filter(str.strip), min_size=1, max_size=3))
def test_anls_is_what_its_authors_library_says(text, references):
    theirs = anls_star.anls_score(tuple(references), text)
    assert score("anls", text, *references) == pytest.approx(theirs)


@pytest.mark.parametrize(
    ("text", "references", "errors", "total"),
    [
        ("two one", ["one two"], 0, 4),
        ("one", ["one two"], 1, 3),
        ("one one", ["one"], 1, 3),
        ("One", ["one"], 2, 2),
        ("three", ["one two", "three"], 0, 2),
        ("", ["one"], 1, 1),
        ("", [""], 0, 0),
    ],
)
def test_bow_f1_counts_each_word_as_often_as_it_is_there(text, references, errors, total):
    f1 = 1 - errors / total if total else 1.0
    assert measure("bow_f1", text, *references) == Measure(pytest.approx(f1), errors, total)


@FEW
@given(st.sets(st.sampled_from("abcdefg"), min_size=1), st.sets(st.sampled_from("abcdefg"), min_size=1))
def test_bow_f1_of_words_that_are_there_once_is_dice(words, expected):
    ours = score("bow_f1", " ".join(sorted(words)), " ".join(sorted(expected, reverse=True)))
    theirs = 1 - dice([letter in words for letter in "abcdefg"], [letter in expected for letter in "abcdefg"])
    assert ours == pytest.approx(theirs)


@FEW
@given(st.lists(st.sampled_from("ab"), min_size=1), st.lists(st.sampled_from("ab"), min_size=1))
def test_bow_f1_counts_as_jiwer_does_where_order_is_none(words, expected):
    """Of sorted words of two kinds, those in common are the hits of an alignment."""
    found = jiwer.process_words(" ".join(sorted(expected)), " ".join(sorted(words)))
    assert score("bow_f1", " ".join(words), " ".join(expected)) >= 2 * found.hits / (len(words) + len(expected)) - 1e-9


@pytest.mark.parametrize(
    ("text", "reference", "f1"),
    [
        ("The cat!", "a cat", 1.0),
        ("a big cat", "the cat", 2 / 3),
        ("dog", "cat", 0.0),
        ("", "the", 1.0),
        ("U.S.A.", "USA", 1.0),
        ("10,000", "10000", 1.0),
    ],
)
def test_token_f1_ignores_case_punctuation_and_articles(text, reference, f1):
    assert score("token_f1", text, reference) == pytest.approx(f1)


def test_words_of_squad_are_without_all_ascii_punctuation():
    assert squad_words(f"a{string.punctuation}b «c»") == ["ab", "«c»"]


def test_the_verbosity_gap_is_what_saying_more_costs():
    assert score("verbosity_gap", "It is IVANOV", "IVANOV") == 1.0
    assert score("verbosity_gap", "IVANOV 12", "IVANOV") == 0.5
    assert score("verbosity_gap", "IVAN0V", "IVANOV") == 0.0
    assert score("verbosity_gap", "", "IVANOV") == 0.0


@pytest.mark.parametrize("reference", ["1", "12"])
def test_a_short_reference_is_found_by_chance_in_a_page(reference):
    assert score("cer_span", "born 12.03.1961", reference) == 0.0
    assert score("cer", "born 12.03.1961", reference) == 1.0


@pytest.mark.parametrize("name", ["ned", "anls", "bow_f1", "token_f1"])
def test_leading_zeros_and_decomposed_letters_are_told_apart_and_together(name):
    perfect = score(name, "00123", "00123")
    assert score(name, "123", "00123") != perfect
    assert score(name, unicodedata.normalize("NFD", "Байкал"), "Байкал") == perfect


def test_cer_of_no_normaliser_is_that_of_jiwer_without_transforms():
    assert score("cer@raw", "ABC", "abc") == 1.0
    assert score("cer@raw", "a  b", "a b") == pytest.approx(1 / 3)


@pytest.mark.slow
@given(st.lists(st.tuples(SHORT, st.lists(SHORT, min_size=1, max_size=3)), max_size=5))
def test_many_at_once_are_what_they_are_one_by_one(rows):
    texts, references = [text for text, _ in rows], [tuple(each) for _, each in rows]
    for name in MANY:
        check_many(METRICS[name], texts, references)


def check_many(metric, texts, references):
    single = gather([metric.function(text, each) for text, each in zip(texts, references, strict=True)])
    many = metric.many(Pairs.of(texts, references))
    for one, other in zip(single[:3], many[:3], strict=True):
        assert (one is None) == (other is None) or not texts
        assert one is None or np.allclose(one, other)


def test_pairs_know_whose_reference_is_whose():
    pairs = Pairs.of(["a", "b", "c"], [("1", "2"), (), ("3",)])
    assert (pairs.references, pairs.aligned()) == (["1", "2", "3"], ["a", "a", "c"])
    assert pairs.tuples() == [("1", "2"), (), ("3",)]
    assert Pairs.of(["a", "b"], [("1",), ("2",)]).owners is None
    assert Pairs.of(["a", "b"], [("1", "2"), ()]).tuples() == [("1", "2"), ()]


@FEW
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1), st.integers(1, 3))
def test_macro_f1_is_that_of_sklearn_over_the_classes_of_references(labels, groups):
    """Class 4 and 5 stand for answers that are no class."""
    numbers = np.array(labels)
    group = np.arange(len(labels)) % groups
    ours = macro_f1(numbers, group, groups)
    for each in range(groups):
        expected, given_ = numbers[group == each].T
        if len(expected):
            theirs = f1_score(expected, given_, average="macro", labels=np.unique(expected), zero_division=0)
            assert ours[each] == pytest.approx(theirs)
        else:
            assert np.isnan(ours[each])


def test_macro_f1_leaves_out_answers_without_a_score():
    assert macro_f1(np.array([[0, 0], [-1, -1], [1, 0]]), np.zeros(3, int), 1).tolist() == [pytest.approx(1 / 3)]
    assert np.isnan(macro_f1(np.array([[-1, -1]]), np.zeros(1, int), 1)[0])


@FEW
@given(TEXTS, TEXTS)
def test_a_distance_never_depends_on_what_norm_takes_away(text, reference):
    for name in ("cer", "ned", "bow_f1"):
        assert measure(name, f" **{text}** ", reference) == measure(name, tidy(f"**{text}**"), reference)
