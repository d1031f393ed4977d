"""A tests file of promptfoo: csv or jsonl whose columns are variables, with `__expected` for what is right.

\b
Example:
  bakeoff dataset import promptfoo tests.csv receipts --question question --image image
\b
What the first `__expected` wants to be equal or contained (a plain text, equals:, contains: …) is the answer; further
ones, and other assertions (javascript:, llm-rubric: …), are kept in the column assertions.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic import Field

from orchestrator.errors import UsageError
from orchestrator.image_headers import find_format
from orchestrator.importing.local import Local
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.importing.url_rows import Line, find_unfit, read_lines, written
from orchestrator.parsing import Frozen

_EXPECTED = re.compile(r"__expected\d*")
_ANSWERS = ("equals", "iequals", "contains", "icontains")
_ASSERTION = re.compile(r"(?P<name>(?:not-)?[a-z][a-z-]*)(?:\([^)]*\))?\s*:\s*(?P<value>.*)", re.DOTALL)
_KNOWN = {
    *("equals", "iequals", "contains", "icontains", "contains-any", "icontains-any", "contains-all", "icontains-all"),
    *("starts-with", "regex", "is-json", "contains-json", "javascript", "fn", "eval", "python", "similar", "rouge-n"),
    *("llm-rubric", "grade", "factuality", "answer-relevance", "model-graded-closedqa", "levenshtein", "latency"),
    *("cost", "webhook", "file", "moderation", "perplexity", "classifier", "is-valid-openai-tools-call", "g-eval"),
}
_QUESTIONS = ("question", "query", "prompt", "input", "text")
_IMAGES = ("image", "image_path", "img", "file", "image_url")


class Options(Frozen):
    """Which variables are what."""

    question: str | None = Field(
        None, description="The variable with the question. [default: question, query, prompt …]"
    )
    image: str | None = Field(
        None, description="The variable with the image: a path, file://, or base64. [default: image …]"
    )
    ask: str | None = Field(None, description="What is asked where no variable says it.")


def read(source: Source, options: Options, notify: Notify) -> Iterator[Record | Problem]:
    """Yield a question per test, in order."""
    path = Path(source.given).expanduser()
    told, local, is_checked = False, Local(source, path.parent), False
    for line in read_lines(path):
        if isinstance(line, Problem):
            yield line
            continue
        flat = _flat(line)
        if unfit := find_unfit(flat.values):
            yield Problem(line.where, unfit)
            continue
        answers, others = _expected(flat.values)
        is_checked = is_checked or bool(answers or others)
        if others and not told:
            told = True
            notify(f"{line.where}: '{others[0][:60]}' is no answer; such assertions are kept in the column assertions")
        yield _record(flat, answers, others, local, options)
    if not is_checked:
        notify(
            f"{path.name}: nothing in it is expected (no __expected, no assert), so no sample has an answer; "
            "a table that is no tests file of promptfoo can be asked as it is, see docs/datasets.md"
        )


def _flat(line: Line) -> Line:
    """Return the row of a csv as it is; a test of jsonl as its variables and assertions."""
    variables = line.values.get("vars")
    if not isinstance(variables, dict):
        return line
    values: dict[str, Any] = dict(variables)
    for number, check in enumerate(line.values.get("assert") or (), start=1):
        if isinstance(check, dict):
            values[f"__expected{number}"] = f"{check.get('type')}: {written(check.get('value')) or ''}"
    if line.values.get("description"):
        values["__description"] = line.values["description"]
    return Line(line.where, values)


def _expected(values: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the answers and the other assertions of a test."""
    answers: list[str] = []
    others: list[str] = []
    for name, value in values.items():
        if _EXPECTED.fullmatch(name) and value not in (None, ""):
            text = written(value) or ""
            match = _ASSERTION.fullmatch(text)
            known = match is not None and match["name"].removeprefix("not-") in _KNOWN
            if match is None or not known:
                answers.append(text)
            elif match["name"] in _ANSWERS:
                answers.append(match["value"])
            else:
                others.append(text)
    return answers, others


def _record(line: Line, answers: list[str], others: list[str], local: Local, options: Options) -> Record | Problem:
    values = line.values
    asked = _variable("question", options.question, values, _QUESTIONS)
    shown = _variable("image", options.image, values, _IMAGES)
    if asked is None and options.ask is None:
        return Problem(line.where, f"no variable is the question ({', '.join(values)}); name it with --question")
    try:
        images = (_picture(written(values[shown]) or "", local, line.where),) if shown and values[shown] else ()
    except ValueError as error:
        return Problem(line.where, str(error))
    kept = {
        n.removeprefix("__metadata:"): v
        for n, v in values.items()
        if n not in (asked, shown) and not _EXPECTED.fullmatch(n)
    }
    return Record(
        question=(written(values[asked]) or "") if asked else options.ask or "",
        answer=answers[0] if answers else None,
        images=images,
        metadata={**kept, **({"assertions": [*answers[1:], *others]} if answers[1:] or others else {})},
    )


def _variable(what: str, chosen: str | None, values: Mapping[str, Any], usual: tuple[str, ...]) -> str | None:
    if chosen is not None:
        if chosen not in values:
            raise UsageError(f"there is no variable '{chosen}' for the {what} (there are: {', '.join(values)})")
        return chosen
    return next((name for name in usual if name in values), None)


def _picture(cell: str, local: Local, where: str) -> Picture:
    """Return the image that a variable names; raise ValueError, a sentence, where it is none."""
    if cell.startswith(("http://", "https://")):
        raise ValueError("its image is a URL; import such a list with `bakeoff dataset import urls`")
    try:
        data = base64.b64decode(cell.partition("base64,")[2] if cell.startswith("data:") else cell, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    kind = find_format(data[:32])
    if kind is None:
        return local.picture(unquote(cell.removeprefix("file://")))
    return Picture(f"{where.replace(' ', '-')}.{kind.lower()}", data)
