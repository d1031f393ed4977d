"""What a prompt asks of one sample."""

from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.prompt.chat import Message, converse, flatten
from orchestrator.prompt.content import Image, Prompt
from orchestrator.prompt.fields import fill
from orchestrator.prompt.pairs import find_template, label


class Asked(NamedTuple):
    """The text that is sent, and beside it the turns of a chat; `defect` says why nothing can be asked."""

    text: str
    messages: list[Message] | None = None
    defect: str | None = None


def ask(
    prompt: Prompt,
    *,
    question: str,
    doc_class: str | None = None,
    question_type: str | None = None,
    images: Sequence[Image] = (),
) -> Asked:
    """Fill in `prompt` for one sample; `images` are the sample's. A missing value is an empty string."""
    values = {"question": question, "doc_class": doc_class or "", "question_type": question_type or ""}
    if prompt.kind == "text":
        return Asked(fill(prompt.text, values))
    if prompt.kind == "chat":
        messages = converse(prompt, values, images)
        return Asked(flatten(messages), messages)
    template = find_template(prompt, (doc_class, question_type))
    if template is None:
        named = label((doc_class, question_type))
        return Asked("", defect=f"prompt set '{prompt.id}' has no row for '{named}'")
    return Asked(fill(template, values))


def render(prompt: Prompt, *, question: str, doc_class: str | None = None, question_type: str | None = None) -> str:
    """Return the text that `ask` sends."""
    return ask(prompt, question=question, doc_class=doc_class, question_type=question_type).text
