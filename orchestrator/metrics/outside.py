"""A metric that is computed in a process of its own: what is asked of it, and what its answers are worth."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from orchestrator.metrics.metric import About, Measure, Metric, References

BAD_SCORE = "bad_score"
_REASON_CHARS = 40
_TOLD = ("question", "doc_class", "question_type", "document", "answer_bbox", "metadata")
_ABOUT: tuple[About, ...] = ("question", "doc_class", "question_type", "document", "answer_bbox", "metadata", "images")


class Question(NamedTuple):
    """What is asked about one answer: a JSON object as the prompt, and the sample's images as (path, sha256)."""

    prompt: str
    images: tuple[tuple[str, str], ...]


class Reply(NamedTuple):
    """What came of a question: a text, or a word that says why there is none."""

    text: str | None
    reason: str | None


Ask = Callable[[Sequence[Question]], Sequence[Reply]]


def make_outside_metric(
    name: str,
    ask: Ask,
    *,
    description: str,
    unit: str = "fraction",
    direction: Literal["higher", "lower"] = "higher",
    needs_reference: bool = True,
) -> Metric:
    """Return a metric whose figures `ask` gets from elsewhere, a batch at a time.

    Each prompt is {"answer", "references", "question", "doc_class", "question_type", "document", "answer_bbox",
    "metadata"}; its reply {"score": number}, or {"score": null, "reason": word} where there is none.
    """
    return Metric(
        name=name,
        description=description,
        unit=unit,
        direction=direction,
        function=lambda text, references, sample: measure_all([text], [references], [sample], ask=ask)[0],
        batch=partial(measure_all, ask=ask),
        needs_reference=needs_reference,
        about=_ABOUT,
    )


def measure_all(
    texts: Sequence[str], references: Sequence[References], samples: Sequence[Mapping[str, Any]], *, ask: Ask
) -> list[Measure | str]:
    """Return the figure of every answer, or why there is none; what is the same is asked once."""
    questions = [_question(*each) for each in zip(texts, references, samples, strict=True)]
    asked = list(dict.fromkeys(questions))
    replies = dict(zip(asked, ask(asked), strict=True)) if asked else {}
    return [_read(replies[question]) for question in questions]


def _question(text: str, references: References, sample: Mapping[str, Any]) -> Question:
    told = {name: sample[name] for name in _TOLD}
    prompt = json.dumps({"answer": text, "references": list(references), **told}, ensure_ascii=False, sort_keys=True)
    return Question(prompt, tuple((path, sha256) for path, sha256 in sample["images"]))


def _read(reply: Reply) -> Measure | str:
    if reply.text is None:
        return reply.reason or BAD_SCORE
    try:
        answer = json.loads(reply.text)
    except (ValueError, RecursionError):
        return BAD_SCORE
    if not isinstance(answer, dict):
        return BAD_SCORE
    score, reason = answer.get("score"), answer.get("reason")
    if score is None and isinstance(reason, str) and reason.isidentifier() and len(reason) <= _REASON_CHARS:
        return reason
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        return BAD_SCORE
    return Measure(float(score))
