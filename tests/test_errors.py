"""What a mistyped name is answered with."""

import pytest

from orchestrator.errors import nearest


@pytest.mark.parametrize(
    ("name", "known", "told"),
    [
        ("ehco", ["echo", "rapidocr"], "; did you mean 'echo'?"),
        ("Echo-", ["echo", "rapidocr"], "; did you mean 'echo'?"),
        ("toi", ["toy", "tiny-docs"], "; did you mean 'toy'?"),
        ("rap", ["rapidocr", "rapid"], "; did you mean 'rapid' or 'rapidocr'?"),
        ("nope", ["openai", "echo"], "; known: echo, openai"),
        ("nope", [f"openai-{n}" for n in range(13)], ""),
    ],
)
def test_a_name_that_is_like_one_brings_it_and_one_that_is_not_none(name, known, told):
    assert nearest(name, known) == told
