"""The check of parameters that runners share."""

import pytest

from tests.test_runner_reading_order import load_helper

params = load_helper("params")
TYPES = {"lang": str, "psm": int, "score": float, "turn": bool}
GIVEN = {"lang": "eng", "psm": 7, "score": 0.5, "turn": False}


def test_known_parameters_come_back():
    assert params.read_params(GIVEN, TYPES) == GIVEN


def test_a_whole_number_will_do_for_a_float():
    assert params.read_params({**GIVEN, "score": 1}, TYPES)["score"] == 1.0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {**GIVEN, "langs": "eng"},
            "there is no parameter 'langs'; did you mean 'lang'? It knows lang, psm, score, turn",
        ),
        ({**GIVEN, "psm": "7"}, "psm = '7': expected int, got str"),
        ({**GIVEN, "psm": True}, "psm = True: expected int, got bool"),
        ({**GIVEN, "turn": 0}, "turn = 0: expected bool, got int"),
        ({"lang": "eng"}, "the parameter 'psm' is missing"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_one_sentence(given, sentence):
    with pytest.raises(params.BadParamsError) as caught:
        params.read_params(given, TYPES)
    assert str(caught.value) == sentence
    assert caught.value.kind == "bad_params"
