"""Named, versioned ways of making texts comparable; a change of behaviour is a new version."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from orchestrator.errors import UsageError, nearest
from orchestrator.metrics.lookalikes import Script, fold_lookalikes, script_of
from orchestrator.metrics.pairs import Pairs
from orchestrator.metrics.tidy import tidy, tidy_many, tidy_spaces


@dataclass(frozen=True, slots=True)
class Step:
    """A function from text to text whose behaviour its name and version stand for.

    Where it `needs_script`, it also gets the script of the references, that of most of their letters. `many`, where
    given, does the same to a list of texts, quicker.
    """

    name: str
    version: int
    description: str
    function: Callable[..., str]
    needs_script: bool = False
    many: Callable[[list[str]], list[str]] | None = None

    @property
    def label(self) -> str:
        """Name and version, such as `norm_v1`."""
        return f"{self.name}_v{self.version}"


@dataclass(frozen=True, slots=True)
class Normaliser:
    """Steps applied one after the other to an answer and to its references alike."""

    steps: tuple[Step, ...]

    @property
    def label(self) -> str:
        """What is stored with each score, such as `norm_v1+ci_v1`."""
        return "+".join(step.label for step in self.steps) or "raw_v1"

    @property
    def needs_script(self) -> bool:
        """Whether what becomes of an answer depends on its references."""
        return any(step.needs_script for step in self.steps)

    def function(self, text: str, script: Script | None = None) -> str:
        """Return `text` after all steps; `script` is that of the references, unknown by default."""
        for step in self.steps:
            text = step.function(text, script) if step.needs_script else step.function(text)
        return text

    def pair(self, text: str, references: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """Return an answer and its references after all steps."""
        script = script_of(references) if self.needs_script else None
        return self.function(text, script), tuple([self.function(reference, script) for reference in references])

    def batch(self, pairs: Pairs) -> Pairs:
        """Return many answers and their references after all steps."""
        if not self.needs_script:
            return replace(pairs, values=self._all(pairs.values), references=self._all(pairs.references))
        normal = [self.pair(*each) for each in zip(pairs.values, pairs.tuples(), strict=True)]
        return Pairs.of([text for text, _ in normal], [references for _, references in normal])

    def _all(self, texts: list[str]) -> list[str]:
        for step in self.steps:
            texts = step.many(texts) if step.many else list(map(step.function, texts))
        return texts


def casefold(text: str) -> str:
    """Return `text` with upper and lower case made alike (Unicode casefold, then NFC again)."""
    return unicodedata.normalize("NFC", text.casefold())


def casefold_many(texts: list[str]) -> list[str]:
    """Return what `casefold` makes of each of `texts`."""
    if all(map(str.isascii, texts)):
        return list(map(str.lower, texts))
    return list(map(casefold, texts))


def fold_spaces(text: str) -> str:
    """Return `text` in NFC with every run of white or zero-width space as one space, none outside."""
    return tidy_spaces(unicodedata.normalize("NFC", text))


def fold_yo(text: str) -> str:
    """Return `text` with the letter yo written as ie, as most Russian printing does."""
    return text.replace("ё", "е").replace("Ё", "Е")  # noqa: RUF001 - Cyrillic is meant


def drop_punctuation(text: str) -> str:
    """Return `text` without punctuation (Unicode category P) and symbols of ASCII, spaces tidied."""
    kept = [char for char in text if not (unicodedata.category(char)[0] == "P" or char in "$+<=>^`|~")]
    return tidy_spaces("".join(kept))


def keep_alphanumeric(text: str) -> str:
    """Return the letters, marks and digits of `text` alone (Unicode categories L, M and N), no spaces."""
    return "".join([char for char in text if unicodedata.category(char)[0] in "LMN"])


_STEPS = (
    Step("spaces", 1, "NFC; every run of space is one space, none outside", fold_spaces),
    Step("norm", 1, "spaces, then quotes, * and ` off both ends, full stops off the end", tidy, many=tidy_many),
    Step(
        "homoglyph",
        1,
        "Cyrillic and Latin look-alikes in the script of their word, or else the reference's",
        fold_lookalikes,
        needs_script=True,
    ),
    Step("ci", 1, "upper and lower case alike", casefold, many=casefold_many),
    Step("yo", 1, "ё as е", fold_yo),  # noqa: RUF001 - Cyrillic is meant
    Step("punct", 1, "no punctuation", drop_punctuation),
    Step("alnum", 1, "letters and digits alone, no spaces", keep_alphanumeric),
)
STEPS = {step.name: step for step in _STEPS}
_RAW = "raw"

RAW = Normaliser(())
NORM = Normaliser((STEPS["norm"],))
NORM_CI = Normaliser((STEPS["norm"], STEPS["ci"]))
SPACES_CI = Normaliser((STEPS["spaces"], STEPS["ci"]))


def extend(normaliser: Normaliser, names: Sequence[str]) -> Normaliser:
    """Return `normaliser` with the steps called `names` as well; `raw` among them leaves out what it had.

    Steps are applied in one order whatever the order of their names, so that one label is one behaviour.
    """
    known = (*STEPS, _RAW)
    for name in names:
        if name not in known:
            raise UsageError(f"there is no normaliser '{name}'{nearest(name, known)}")
    before = () if _RAW in names else normaliser.steps
    there = {step.name for step in before} | set(names)
    foreign = tuple(step for step in before if step.name not in STEPS)
    return Normaliser(foreign + tuple(step for step in _STEPS if step.name in there))
