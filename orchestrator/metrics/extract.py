"""Take the answer proper out of what a model said, by declared steps; what cannot be found is never made up."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from orchestrator.errors import UsageError, nearest
from orchestrator.metrics.json_text import read_json, write_json

Take = Callable[[str], str | None]
VERSION = 1
JSON = "json:"
_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_ANSWER = re.compile(r"<(/?)answer>", re.IGNORECASE)
_INFO = re.compile(
    r"[\w+.#-]*[ \t]*\r?\n|(?:json|text|txt|markdown|md|html|xml|yaml|csv|latex)(?=[\s{\[<])", re.IGNORECASE
)
_BOXED = r"\boxed"


@dataclass(frozen=True, slots=True)
class Extractor:
    """Steps that end in the answer proper, or in None; `label` names them with their version."""

    label: str
    function: Take


def make_extractor(names: Sequence[str]) -> Extractor:
    """Return the steps called `names`, one after the other; raise UsageError for an unknown one."""
    steps = [_step(name) for name in names]
    return Extractor("+".join(f"{name}_v{VERSION}" for name in names), partial(_run, steps))


def _run(steps: Sequence[Take], text: str) -> str | None:
    found: str | None = text
    for step in steps:
        if found is not None:
            found = step(found)
    return found


def _step(name: str) -> Take:
    if name.startswith(JSON) and name != JSON:
        return partial(take_field, path=name.removeprefix(JSON))
    if name not in STEPS:
        raise UsageError(f"there is no extraction '{name}'{nearest(name, [*STEPS, 'json:FIELD'])}")
    return STEPS[name]


def strip_thinking(text: str) -> str | None:
    """Return `text` without <think> … </think>; None where it is thinking alone, cut before the answer.

    A </think> that nothing opened ends what came before it: some chat templates open it in the prompt.
    """
    kept: list[str] = []
    start, is_open = 0, False
    for tag in _THINK.finditer(text):
        if tag[1]:
            if not is_open:
                kept.clear()
            start, is_open = tag.end(), False
        elif not is_open:
            kept.append(text[start : tag.start()])
            is_open = True
    if not is_open:
        return "".join([*kept, text[start:]]).strip()
    return "".join(kept).strip() or None


def strip_fence(text: str) -> str:
    """Return what the last Markdown code fence in `text` holds, closed or not; `text` itself where there is none."""
    parts = text.split("```")
    if len(parts) == 1:
        return text
    inside = parts[1::2][-1]
    info = _INFO.match(inside)
    return (inside[info.end() :] if info else inside).strip()


def take_answer(text: str) -> str | None:
    """Return what the last <answer> … </answer> holds, up to the end where it is not closed."""
    tags = list(_ANSWER.finditer(text))
    opening = next((number for number in reversed(range(len(tags))) if not tags[number][1]), None)
    if opening is None:
        return None
    end = tags[opening + 1].start() if opening + 1 < len(tags) else len(text)
    return text[tags[opening].end() : end].strip()


def take_last_line(text: str) -> str | None:
    r"""Return the last line that is not empty; a line ends with \n."""
    lines = [line for line in text.split("\n") if line.strip()]
    return lines[-1].strip() if lines else None


def take_boxed(text: str) -> str | None:
    r"""Return what the last \boxed{…} of LaTeX holds; braces within it are balanced."""
    start = text.rfind(_BOXED + "{")
    depth = 0
    for at in range(start + len(_BOXED), len(text)) if start >= 0 else ():
        is_escaped = text[at - 1] == "\\"
        depth += (text[at] == "{" and not is_escaped) - (text[at] == "}" and not is_escaped)
        if depth == 0:
            return text[start + len(_BOXED) + 1 : at].strip()
    return None


def take_field(text: str, *, path: str) -> str | None:
    """Return a field of the JSON that `text` is: a text or number as it is written, null as empty, others as JSON.

    `path` is names and numbers of items between dots, such as `items.0.name`; where a name meets a list, it is
    that field of every item. A name may hold dots itself.
    """
    try:
        found = _find(read_json(text), path.split("."))
    except (ValueError, LookupError):
        return None
    if found is None:
        return ""
    return found if isinstance(found, str) else write_json(found)


def _find(value: Any, names: Sequence[str]) -> Any:
    """Return what is at `names` below `value`; raise LookupError where there is nothing."""
    if not names:
        return value
    if isinstance(value, list):
        if names[0].isdecimal():
            return _find(value[int(names[0])], names[1:])
        return [_find(item, names) for item in value]
    if isinstance(value, dict):
        for count in range(len(names), 0, -1):
            if (name := ".".join(names[:count])) in value:
                return _find(value[name], names[count:])
    raise LookupError(names[0])


STEPS: dict[str, Take] = {
    "think": strip_thinking,
    "fence": strip_fence,
    "answer": take_answer,
    "last-line": take_last_line,
    "boxed": take_boxed,
}
