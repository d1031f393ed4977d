"""F1 of words, whatever their order."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from orchestrator.metrics.metric import Measure, Metric
from orchestrator.metrics.normalise import NORM
from orchestrator.metrics.rates import best, error_rate

# What Python's string.punctuation is, which the script of SQuAD takes out.
_PUNCTUATION = str.maketrans("", "", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def bag_f1(text: str, references: tuple[str, ...]) -> Measure:
    """Measure how far the words of `text` are those of the nearest reference, order aside.

    F1 = 2 |A ∩ B| / (|A| + |B|) of the two bags of words, each word as often as it is there (Dice 1945). For pages
    read in another order of lines, where CER and WER count what was only moved; see the bag-of-words WER of
    Vidal et al. 2023, arXiv 2301.05935. Words are split at spaces, punctuation belongs to its word.
    """
    return _best_f1(text, references, str.split)


def token_f1(text: str, references: tuple[str, ...]) -> Measure:
    """Measure the same over words as the script of SQuAD makes them (Rajpurkar et al. 2016, arXiv 1606.05250).

    Lower case; ASCII punctuation and the English articles taken out. Both without any word: 1.
    """
    return _best_f1(text, references, squad_words)


def squad_words(text: str) -> list[str]:
    """Return the words of `text` that SQuAD's script compares."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _best_f1(text: str, references: Sequence[str], split: Callable[[str], list[str]]) -> Measure:
    words = Counter(split(text))
    nearest = best([_errors(words, Counter(split(reference))) for reference in references])
    return nearest._replace(score=1 - nearest.score)


def _errors(words: Counter[str], expected: Counter[str]) -> Measure:
    """Return FP + FN over 2 TP + FP + FN, which is 1 - F1."""
    total = words.total() + expected.total()
    return error_rate(total - 2 * (words & expected).total(), total)


_f1 = partial(Metric, unit="fraction", direction="higher", aggregate="f1", normaliser=NORM)
BOW_F1 = _f1(name="bow_f1", description="F1 of the bag of words, their order aside", function=bag_f1)
TOKEN_F1 = _f1(
    name="token_f1",
    description="F1 of words as in SQuAD: no case, no punctuation, no English articles",
    function=token_f1,
)
