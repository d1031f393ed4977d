"""Classification: the answer is the name of a class."""

from orchestrator.metrics.metric import Measure, Metric
from orchestrator.metrics.normalise import NORM_CI


def classify(text: str, references: tuple[str, ...]) -> Measure:
    """Return 1 where `text` names the reference's class, else 0; with both, for the F1 of each class.

    The mean is accuracy, the corpus figure macro-F1 (Sokolova and Lapalme 2009): the mean over the classes of the
    references. Of several references, the one that is named is the class, else the first.
    """
    expected = text if text in references else references[0]
    return Measure(1.0 if text == expected else 0.0, labels=(expected, text))


ACCURACY = Metric(
    name="accuracy",
    description="share of answers that name the right class, case ignored; the corpus figure is macro-F1",
    unit="fraction",
    direction="higher",
    function=classify,
    normaliser=NORM_CI,
    aggregate="macro_f1",
)
