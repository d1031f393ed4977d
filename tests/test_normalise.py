"""Normalisers: what each step does, how they go together, and that many at once are what they are one by one."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.metrics import METRICS, get_metric
from orchestrator.metrics.normalise import NORM, NORM_CI, STEPS, extend
from orchestrator.metrics.pairs import Pairs
from orchestrator.metrics.tidy import _PLAIN, _SPACES, tidy, tidy_many

ODD = st.text("ab .\"'*«» \n\t\u00a0\u0301иИЁй\u200b\x1e😀éß", max_size=8)

FEW = settings(max_examples=40, deadline=None)


def score(metric, text, *references):
    return get_metric(metric).measure(text, references).score


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        ("spaces", "\u00a0*a\n\u2009b* ", "*a b*"),
        ("norm", ' "*a\n b*." ', "a b"),
        ("ci", "Straße ИВАН", "strasse иван"),
        ("yo", "Ёлка ёж", "Елка еж"),
        ("punct", "a. b, «c» - d (e)?", "a b c d e"),
        ("alnum", "AB-12 / 34 №5", "AB12345"),
    ],
)
def test_a_step_does_what_it_says(step, text, expected):
    assert STEPS[step].function(text) == expected


@pytest.mark.parametrize(
    ("latin", "cyrillic"),
    [("CHИЛC", "СНИЛС"), ("ИBAHOB", "ИВАНОВ"), ("COPT", "СОРТ"), ("OOO", "ООО"), ("MOCKBA", "МОСКВА")],  # noqa: RUF001
)
def test_lookalikes_are_one_letter_in_a_cyrillic_answer(latin, cyrillic):
    assert latin != cyrillic
    assert score("cer", latin, cyrillic) > 0
    assert score("cer@homoglyph", latin, cyrillic) == 0


def test_lookalikes_are_folded_to_the_script_of_the_reference():
    assert score("exact@homoglyph", "ВОР 12", "BOP 12") == 1  # noqa: RUF001 - Cyrillic is meant
    assert score("exact@homoglyph+ci", "Вова", "ВОВА") == 1  # noqa: RUF001 - as above
    assert score("exact@homoglyph", "Иван", "Ivan") == 0
    assert score("exact@homoglyph", "Passport ИВАНОВ", "Passport ИВАНОВ") == 1
    assert score("exact@homoglyph", "12345", "12345") == 1


def test_yo_is_ie_only_where_it_is_asked_for():
    assert score("exact", "Семён", "Семен") == 0
    assert score("exact@yo", "Семён", "Семен") == 1
    assert score("exact@ci+yo", "СЕМЁН", "Семен") == 1


def test_names_of_steps_make_one_label_whatever_their_order():
    label = get_metric("cer@yo+ci").normaliser.label
    assert label == get_metric("cer@ci+yo").normaliser.label == "norm_v1+ci_v1+yo_v1"
    assert get_metric("cer@ci").normaliser.label == METRICS["cer_ci"].normaliser.label
    assert get_metric("cer@raw").normaliser.label == "raw_v1"
    assert get_metric("cer@raw+spaces").normaliser.label == "spaces_v1"
    assert get_metric("anls@yo").normaliser.label == "spaces_v1+ci_v1+yo_v1"


def test_what_cannot_be_normalised_or_is_unknown_is_one_sentence():
    with pytest.raises(UsageError, match=r"no normaliser 'yoo'; did you mean 'yo'\?"):
        get_metric("cer@yoo")
    with pytest.raises(UsageError, match="there is no normaliser ''; known: alnum, ci, "):
        get_metric("cer@")
    with pytest.raises(UsageError, match="output_length compares no normalised texts"):
        get_metric("output_length@ci")
    with pytest.raises(UsageError, match="no metric 'ceer'; did you mean 'cer'"):
        get_metric("ceer@ci")


@FEW
@given(st.lists(ODD, max_size=6))
def test_many_texts_are_tidied_as_one_by_one(texts):
    assert tidy_many(texts) == [tidy(text) for text in texts]


def test_letters_taken_for_plain_are_nfc_in_any_company():
    for first, last in _PLAIN:
        for letter in map(chr, range(first, last + 1)):
            assert unicodedata.normalize("NFC", f"e{letter}") == f"e{letter}"
            assert letter == " " or not _SPACES.match(letter)


@FEW
@given(st.lists(st.tuples(ODD, st.lists(ODD, max_size=3)), max_size=4))
def test_a_batch_is_normalised_as_its_pairs_are(rows):
    pairs = Pairs.of([text for text, _ in rows], [tuple(each) for _, each in rows])
    for names in ([], ["ci"], ["homoglyph", "ci", "yo"], ["punct"], ["alnum"]):
        normaliser = extend(NORM, names)
        batch = normaliser.batch(pairs)
        single = [normaliser.pair(text, each) for text, each in rows]
        assert (batch.values, batch.tuples()) == ([text for text, _ in single], [each for _, each in single])


@FEW
@given(ODD)
def test_a_step_twice_is_that_step(text):
    for name in ("spaces", "norm", "ci", "yo", "punct", "alnum"):
        function = STEPS[name].function
        assert function(function(text)) == function(text)


def test_casefold_and_norm_have_versions():
    assert NORM_CI.label == "norm_v1+ci_v1"
